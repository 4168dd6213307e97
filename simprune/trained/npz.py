"""Trained networks in ``.npz`` files: arrays W0, b0, W1, b1, ... with W_l ``[d_l, d_(l-1)]``; biases may be left out.
Pruned networks have bool arrays mask0, mask1, ... as well, True where weights are kept.

Networks with convolutions have kernels ``[c_out, c_in / groups, kh, kw]`` and a text array ``layers`` (``layer_text``),
which may also name the activation of a fully connected network.

The reader never unpickles, and allocates nothing before it has checked the sizes that the file claims.
"""

import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.files import checked_file, write_whole
from simprune.trained.layer_text import layer_text, parse_layer_text
from simprune.trained.masks import check_mask
from simprune.trained.network import TrainedNetwork

MAX_BYTES = 1 << 31
MAX_RATIO = 200
RATIO_FROM_BYTES = 1 << 24
MAX_TEXT = 1 << 16
LAYERS_KEY = "layers"
_KEY = re.compile(r"([Wb]|mask)(0|[1-9]\d{0,3})|layers")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, struct.error)


def read_npz(path: str | Path) -> TrainedNetwork:
    """Return the network of an ``.npz`` file; InputError if the file is missing, damaged, pickled or incomplete.

    Masks mask0, mask1, ... (True = kept), if any, are checked against the weights.
    """
    path = checked_file(path, most_bytes=MAX_BYTES)
    arrays = _arrays(path, _key)
    for key, array in arrays.items():
        _check_type(key, array, path)
    return network_of(arrays, origin=str(path))


def read_arrays(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Return all float32 and float64 arrays of an ``.npz`` file by their names, whatever these are."""
    path = checked_file(path, most_bytes=MAX_BYTES)
    return {name: array for name, array in _arrays(path, _any_key).items() if array.dtype in ("f4", "f8")}


def write_npz(path: str | Path, network: TrainedNetwork, *, masks: Sequence[npt.NDArray[np.bool_]] | None = None) -> None:
    """Write a network, with ``masks`` (True = kept) as mask0, mask1, ...; equal networks give equal bytes."""
    _write(path, named_arrays(network) | _named_masks(masks or ()))


def write_masks(path: str | Path, masks: Sequence[npt.NDArray[np.bool_]]) -> None:
    """Write masks (True = kept) alone, as mask0, mask1, ..."""
    _write(path, _named_masks(masks))


def _named_masks(masks: Sequence[npt.NDArray[np.bool_]]) -> dict[str, npt.NDArray[Any]]:
    return {f"mask{i}": np.asarray(mask, dtype=np.bool_) for i, mask in enumerate(masks)}


def _write(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    image = io.BytesIO()
    with zipfile.ZipFile(image, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data.getvalue())
    write_whole(path, image.getvalue())


def _arrays(path: Path, key: Callable[[zipfile.ZipInfo, Path], str]) -> dict[str, npt.NDArray[Any]]:
    image = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(image) as archive:
            return {key(info, path): _array(archive, info, path) for info in _entries(archive, path)}
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{path} must be an .npz file, got a file that cannot be read ({error}); write it anew") from None


def named_arrays(network: TrainedNetwork) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a network by their names in a file, in the order of the layers."""
    pairs = enumerate(zip(network.weights, network.biases, strict=True))
    arrays: dict[str, npt.NDArray[Any]] = {f"{k}{i}": a for i, pair in pairs for k, a in zip("Wb", pair, strict=True)}
    text = layer_text(network)
    return arrays if text is None else arrays | {LAYERS_KEY: np.array(text)}


def network_of(arrays: Mapping[str, npt.NDArray[Any]], *, origin: str) -> TrainedNetwork:
    """Return the network whose ``named_arrays`` are given."""
    weighty = [key for key in arrays if key[0] in "Wb"]
    depth = 1 + max((int(key[1:]) for key in weighty), default=0)
    missing = [f"W{i}" for i in range(depth) if f"W{i}" not in arrays]
    if missing:
        raise InputError(
            f"{origin} must hold the weights W0, W1, ... of all layers, got none named {', '.join(missing[:5])}; "
            "number the layers from 0 without gaps"
        )
    weights = tuple(arrays[f"W{i}"] for i in range(depth))
    biases = tuple(arrays.get(f"b{i}", np.zeros(w.shape[:1], dtype=w.dtype)) for i, w in enumerate(weights))
    for i, weight in enumerate(weights):
        check_mask(weight, arrays.get(f"mask{i}"), name=f"W{i}", origin=origin)
    chain, activation = None, None
    if LAYERS_KEY in arrays:
        chain, activation = parse_layer_text(str(arrays[LAYERS_KEY][()]), origin=origin)
    return TrainedNetwork(weights=weights, biases=biases, origin=origin, chain=chain, activation=activation)


def _entries(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    total = sum(info.file_size for info in entries)
    packed = sum(info.compress_size for info in entries)
    if total > MAX_BYTES:
        raise InputError(
            f"{path} must unpack to at most {MAX_BYTES >> 20} MiB, got {total >> 20} MiB; take a smaller network"
        )
    if total > RATIO_FROM_BYTES and total > MAX_RATIO * packed:
        raise InputError(
            f"{path} must unpack to at most {MAX_RATIO} times its size, got {total} bytes from {packed}; "
            "write it uncompressed if it is genuine"
        )
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in entries):
        raise InputError(f"{path} must be stored or deflated, got another compression; save it with numpy.savez")
    names = [info.filename for info in entries]
    if len(set(names)) < len(names):
        raise InputError(f"{path} must hold each array once, got repeated names; write it anew")
    return entries


def _key(info: zipfile.ZipInfo, path: Path) -> str:
    key = info.filename.removesuffix(".npy")
    if not _KEY.fullmatch(key) or key == info.filename:
        raise InputError(f"{path} must hold arrays named W0, b0, W1, b1, ..., layers only, got '{key}'; rename or remove it")
    return key


def _any_key(info: zipfile.ZipInfo, path: Path) -> str:
    return info.filename.removesuffix(".npy")


def _check_type(key: str, array: npt.NDArray[Any], path: Path) -> None:
    dtype, shape = array.dtype, array.shape
    if key == LAYERS_KEY:
        if dtype.kind != "U" or shape != () or dtype.itemsize > 4 * MAX_TEXT:
            raise InputError(
                f"layers of {path} must be one text of at most {MAX_TEXT} characters, got {dtype} of shape {shape}; "
                "save a str"
            )
    elif key.startswith("mask"):
        if dtype != np.bool_:
            raise InputError(f"{key} of {path} must be a bool array, True where weights are kept, got {dtype}; convert it")
    elif dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise InputError(f"{key} of {path} must be float32 or float64, got {dtype}; convert it with astype")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> npt.NDArray[Any]:
    key = info.filename.removesuffix(".npy")
    data = archive.read(info)
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise InputError(f"{key} of {path} must be an array of format 1.0 or 2.0, got {version}; save it with numpy.savez")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise InputError(
            f"{key} of {path} must hold plain numbers, got pickled objects, which are never read; save a float array"
        )
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise InputError(
            f"{key} of {path} must hold the {math.prod(shape)} numbers that its shape {shape} promises, "
            f"got {(len(data) - stream.tell()) // dtype.itemsize}; write the file anew"
        )
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    array = flat.reshape(shape, order="F" if fortran else "C")
    return np.asarray(array, dtype=dtype.newbyteorder("="), order="C")
