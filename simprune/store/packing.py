"""The process that writes a packed file: ``python -m simprune.store.packing FOLDER FILE``."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from simprune.design.point import Point
from simprune.records import Column, Status, column_shape, columns_of
from simprune.store import failures, record, schema, stops
from simprune.store.folder_source import FolderSource
from simprune.store.packed import PackedSource, network_group, point_group
from simprune.store.provenance import environment
from simprune.store.record import RunRecord
from simprune.store.segment import LIBVER, checksum, chunk_shape
from simprune.trained.layer_text import layer_text
from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import LAYERS_KEY


def write_packed(source: FolderSource, path: Path) -> None:
    """Write all rows of ``source`` to a new file, then read it again and compare every byte."""
    with h5py.File(path, "x", libver=LIBVER) as file:
        _write_root(file, source)
        for sha256 in source.record.networks:
            _write_network(file.create_group(network_group(sha256)), source.network(sha256))
        for digest, point in _pairs(source.record):
            _write_point(file.create_group(point_group(digest)), source, digest, point)
    _compare_root(PackedSource(path), source)
    with h5py.File(path, "r") as file:
        for digest, point in _pairs(source.record):
            _compare_point(file[point_group(digest)], source, digest, point)


def _pairs(run: RunRecord) -> Iterator[tuple[str, Point]]:
    return zip(run.digests, run.points, strict=True)


def _write_root(file: h5py.File, source: FolderSource) -> None:
    run = source.record
    attributes = {
        "filetype": record.FILETYPE,
        "format_version": record.FORMAT_VERSION,
        "fingerprint": run.fingerprint,
        "name": run.name,
        "trials": run.trials,
        "epsilons": np.array(run.epsilons, dtype="<f8"),
        "delta": run.delta,
        "seed": np.array(sorted({point.seed for point in run.points}), dtype="<i8"),
        "precision": ", ".join(sorted({point.precision for point in run.points})),
        "design": run.text,
        "packed_by": environment()["simprune_version"],
        "run": record.to_json(run),
        "failed": failures.to_json(source.failed).decode(),
        "stops": stops.to_json(source.stops).decode(),
    }
    plain = {key: value for key, value in run.provenance.items() if isinstance(value, str | int | float)}
    for key, value in plain.items():
        file.attrs[key] = value
    schema.write_attributes(file, schema.ROOT, attributes)


def _write_point(group: h5py.Group, source: FolderSource, digest: str, point: Point) -> None:
    schema.write_attributes(group, schema.POINT, {"digest": digest, "point": json.dumps(point.to_dict())})
    specs = columns_of(point)
    names = [spec.name for spec in specs]
    n_rows = sum(stop - first for first, stop in source.completed(digest))
    for spec in specs:
        shape = column_shape(spec, point, n_rows)
        _new_dataset(group, spec.name, shape, spec.dtype, small=spec.name == "trial")
    flags = {
        "flag_masks": np.array([int(status) for status in Status], dtype="<i8"),
        "flag_meanings": " ".join(str(status.name).lower() for status in Status),
    }
    schema.write_attributes(group["status"], schema.STATUS, flags)
    _attach_axes(group, point)
    checksums = dict.fromkeys(names, 0)
    for at, piece in _placed(source, digest, point):
        for name in names:
            rows = np.ascontiguousarray(piece[name])
            group[name][at : at + len(rows)] = rows
            checksums[name] = checksum(rows, checksums[name])
    for spec in specs:
        labels = {"units": "1", "long_name": spec.long_name, "crc32": checksums[spec.name]}
        schema.write_attributes(group[spec.name], schema.COLUMN, labels)


def _placed(source: FolderSource, digest: str, point: Point) -> Iterator[tuple[int, Mapping[str, Column]]]:
    at = 0
    for piece in source.pieces(digest, point, names=[spec.name for spec in columns_of(point)]):
        yield at, piece
        at += len(piece["trial"])


def _new_dataset(group: h5py.Group, name: str, shape: tuple[int, ...], dtype: str, *, small: bool = False) -> h5py.Dataset:
    growing = (None, *shape[1:]) if shape[0] == 0 else None
    packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if small else {}
    chunks = chunk_shape(shape, np.dtype(dtype).itemsize)
    return group.create_dataset(name, shape=shape, dtype=dtype, chunks=chunks, maxshape=growing, fletcher32=True, **packed)


def _label(dataset: h5py.Dataset, long_name: str) -> None:
    dataset.attrs["units"] = "1"
    dataset.attrs["long_name"] = long_name


def _attach_axes(group: h5py.Group, point: Point) -> None:
    group["trial"].make_scale("trial")
    for axis in {spec.axis for spec in columns_of(point)} - {None}:
        specs = [spec for spec in columns_of(point) if spec.axis == axis]
        size = column_shape(specs[0], point, 0)[1]
        scale = _scale(group, str(axis), size, long_name=f"index of the {axis}, first is 0")
        for spec in specs:
            group[spec.name].dims[1].attach_scale(scale)
    for spec in columns_of(point):
        if spec.name != "trial":
            group[spec.name].dims[0].attach_scale(group["trial"])


def _scale(group: h5py.Group, name: str, size: int, *, long_name: str) -> h5py.Dataset:
    scale = _new_dataset(group, name, (size,), "<i8")
    scale[...] = np.arange(size)
    _label(scale, long_name)
    scale.make_scale(name)
    return scale


def _write_network(group: h5py.Group, network: TrainedNetwork) -> None:
    schema.write_attributes(group, schema.NETWORK, {"sha256": network.sha256, "origin": network.origin})
    text = layer_text(network)
    if text is not None:
        group.attrs[LAYERS_KEY] = text
    sizes = [network.weights[0].shape[1], *(weight.shape[0] for weight in network.weights)]
    scales = [
        _scale(group, f"layer_{i}", size, long_name=f"index of the unit or channel in layer {i}, 0 is the input")
        for i, size in enumerate(sizes)
    ]
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        meaning = "weights [d_out, d_in]" if weight.ndim == 2 else "kernel [c_out, c_in / groups, kh, kw]"
        for name, array, told in ((f"W{i}", weight, meaning), (f"b{i}", bias, "biases")):
            dataset = _new_dataset(group, name, array.shape, array.dtype.str)
            dataset[...] = array
            _label(dataset, f"{told} of weighted layer {i}")
            dataset.dims[0].attach_scale(scales[i + 1])
        for axis, size in enumerate(weight.shape[1:], start=1):
            shared = axis == 1 and size == sizes[i]
            label = f"index along axis {axis} of the weights of layer {i}"
            group[f"W{i}"].dims[axis].attach_scale(
                scales[i] if shared else _scale(group, f"W{i}_axis_{axis}", size, long_name=label)
            )


def _compare_root(packed: PackedSource, source: FolderSource) -> None:
    told = [
        (s.record, s.failed, s.stops, [s.network(sha256).sha256 for sha256 in s.record.networks]) for s in (packed, source)
    ]
    if told[0] != told[1]:
        raise OSError("the file reads back another description than was written, the disk may be failing")


def _compare_point(group: h5py.Group, source: FolderSource, digest: str, point: Point) -> None:
    for at, piece in _placed(source, digest, point):
        for name, rows in piece.items():
            if group[name][at : at + len(rows)].tobytes() != rows.tobytes():
                raise OSError(f"{group.name}/{name} reads back other bytes than were written, the disk may be failing")


def main(arguments: list[str]) -> int:
    """Pack and return the exit status; the last line of stderr says what went wrong."""
    try:
        write_packed(FolderSource(Path(arguments[0])), Path(arguments[1]))
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError) and error.errno:
            told = f"the system said '{os.strerror(error.errno)}'"
        sys.stderr.write(" ".join(told.split()) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
