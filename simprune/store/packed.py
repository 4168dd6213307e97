"""Reading a packed file: one HDF5 file with one group a point and one dataset a column."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.records import Column, ColumnSpec, Ranges, column_shape, columns_of
from simprune.store import failures, record, stops
from simprune.store.allow import Refused, admit_file
from simprune.store.coverage import Coverage, runs
from simprune.store.errors import DamagedResults
from simprune.store.segment import checksum
from simprune.store.source import AbstractSource
from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import LAYERS_KEY, network_of

READ_BYTES = 1 << 20


def point_group(digest: str) -> str:
    """Return the path of a point's group."""
    return f"points/{digest[:16]}"


def network_group(sha256: str) -> str:
    """Return the path of a fixed target's group."""
    return f"networks/{sha256[:16]}"


class PackedSource(AbstractSource):
    """A packed file, ours or a stranger's: checked against the allow-list before anything is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ranges: dict[str, Ranges] = {}
        with self._opened() as file:
            record.require_format(file.attrs.get("filetype"), file.attrs.get("format_version"), origin=str(path))
            admit_file(file, path.stat().st_size)
            self.record = record.from_json(str(file.attrs["run"]), origin=str(path))
            for digest, point in zip(self.record.digests, self.record.points, strict=True):
                _check_shapes(file[point_group(digest)], digest, point)
            self.failed = failures.from_json(str(file.attrs["failed"]).encode(), origin=str(path))
            self.stops = stops.from_json(str(file.attrs.get("stops", "[]")).encode(), origin=str(path))
        self.problems: Mapping[str, str] = {}

    def completed(self, digest: str) -> Ranges:
        if digest not in self._ranges:
            with self._opened() as file:
                self._ranges[digest] = _ranges(file[point_group(digest)]["trial"])
        return self._ranges[digest]

    def pieces(self, digest: str, point: Point, *, names: Sequence[str]) -> Iterator[Mapping[str, Column]]:
        """Yield rows; DamagedResults at the end if a column does not match its checksum."""
        with self._opened() as file:
            group = file[point_group(digest)]
            checksums = dict.fromkeys(names, 0)
            row_bytes = max(group[name].dtype.itemsize * int(np.prod(group[name].shape[1:])) for name in names)
            step = max(1, READ_BYTES // row_bytes)
            n_rows = group["trial"].shape[0]
            for first in range(0, n_rows, step):
                piece = {name: group[name][first : first + step] for name in names}
                for name in names:
                    checksums[name] = checksum(piece[name], checksums[name])
                yield piece
            wrong = [name for name in names if checksums[name] != group[name].attrs["crc32"]]
            if wrong:
                raise Refused(f"point {digest[:16]}: {', '.join(wrong)} does not match its checksum")

    def network(self, sha256: str) -> TrainedNetwork:
        with self._opened() as file:
            group = file[network_group(sha256)]
            depth = sum(name.startswith("b") for name in group)
            arrays = {f"{kind}{i}": group[f"{kind}{i}"][()] for i in range(depth) for kind in "Wb"}
            if LAYERS_KEY in group.attrs:
                arrays[LAYERS_KEY] = np.array(str(group.attrs[LAYERS_KEY]))
            network = network_of(arrays, origin=str(group.attrs["origin"]))
            if network.sha256 != sha256:
                raise Refused(f"network {sha256[:16]} has other weights than its name says")
            return network

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        """Open the file for a moment and turn whatever a damaged one makes h5py raise into a DamagedResults."""
        try:
            with h5py.File(self._path, "r", locking=False) as file:
                yield file
        except InputError:
            raise
        except Exception as error:  # h5py raises nearly every type on a damaged file
            kind = "" if isinstance(error, Refused) else f"{type(error).__name__}: "
            raise DamagedResults(
                f"{self._path} must be an undamaged packed results file, got one that cannot be read ({kind}{error}); "
                "pack the results folder again or take a copy"
            ) from error


def _check_shapes(group: h5py.Group, digest: str, point: Point) -> None:
    if group.attrs["digest"] != digest or json.loads(group.attrs["point"]) != point.to_dict():
        raise Refused(f"group {group.name} describes another point than the root")
    n_rows = group["trial"].shape[0]
    for spec in columns_of(point):
        _check_column(group[spec.name], spec, column_shape(spec, point, n_rows))


def _check_column(dataset: h5py.Dataset, spec: ColumnSpec, shape: tuple[int, ...]) -> None:
    if dataset.shape != shape or dataset.dtype != np.dtype(spec.dtype):
        raise Refused(f"{dataset.name} is {dataset.dtype} {dataset.shape}, not {spec.dtype} {shape}")


def _ranges(dataset: h5py.Dataset) -> Ranges:
    coverage = Coverage()
    last = -1
    step = READ_BYTES // 8
    for first in range(0, dataset.shape[0], step):
        trials = dataset[first : first + step]
        if trials[0] <= last or (np.diff(trials) <= 0).any():
            raise Refused(f"{dataset.name} does not list each trial once in rising order")
        for begin, end in runs(trials):
            coverage.add("", begin, end)
        last = int(trials[-1])
    return coverage.ranges("")
