"""Trained networks in ``.npz`` files: arrays W0, b0, W1, b1, ... with W_l ``[d_l, d_(l-1)]``; biases may be left out.

Networks with convolutions have kernels ``[c_out, c_in / groups, kh, kw]`` and a text array ``layers`` (``layer_text``),
which may also name the activation of a fully connected network.

The reader never unpickles, and allocates nothing before it has checked the sizes that the file claims.
"""

import contextlib
import io
import math
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.layer_text import layer_text, parse_layer_text
from simprune.trained.network import TrainedNetwork

MAX_BYTES = 1 << 31
MAX_RATIO = 200
RATIO_FROM_BYTES = 1 << 24
MAX_TEXT = 1 << 16
LAYERS_KEY = "layers"
_KEY = re.compile(r"([Wb])(0|[1-9]\d{0,3})|layers")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, struct.error)


def read_npz(path: str | Path) -> TrainedNetwork:
    """Return the network of an ``.npz`` file; InputError if the file is missing, damaged, pickled or incomplete."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"a network must be an .npz file, got the folder {path}; name the file")
    if not path.exists():
        raise InputError(f"the network file must exist, got {path}; check the path")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} must have at most {MAX_BYTES >> 20} MiB, got more; take a smaller network")
    image = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(image) as archive:
            arrays = {_key(info, path): _array(archive, info, path) for info in _entries(archive, path)}
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(f"{path} must be an .npz file, got a file that cannot be read ({error}); write it anew") from None
    return network_of(arrays, origin=str(path))


def write_npz(path: str | Path, network: TrainedNetwork) -> None:
    """Write a network; equal networks give equal bytes (no compression, fixed times)."""
    path = Path(path)
    image = io.BytesIO()
    arrays = named_arrays(network)
    with zipfile.ZipFile(image, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o644 << 16
            archive.writestr(info, data.getvalue())
    handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image.getvalue())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def named_arrays(network: TrainedNetwork) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a network by their names in a file, in the order of the layers."""
    pairs = enumerate(zip(network.weights, network.biases, strict=True))
    arrays: dict[str, npt.NDArray[Any]] = {f"{k}{i}": a for i, pair in pairs for k, a in zip("Wb", pair, strict=True)}
    text = layer_text(network)
    return arrays if text is None else arrays | {LAYERS_KEY: np.array(text)}


def network_of(arrays: Mapping[str, npt.NDArray[Any]], *, origin: str) -> TrainedNetwork:
    """Return the network whose ``named_arrays`` are given."""
    weighty = [key for key in arrays if key != LAYERS_KEY]
    depth = 1 + max((int(key[1:]) for key in weighty), default=0)
    missing = [f"W{i}" for i in range(depth) if f"W{i}" not in arrays]
    if missing:
        raise InputError(
            f"{origin} must hold the weights W0, W1, ... of all layers, got none named {', '.join(missing[:5])}; "
            "number the layers from 0 without gaps"
        )
    weights = tuple(arrays[f"W{i}"] for i in range(depth))
    biases = tuple(arrays.get(f"b{i}", np.zeros(w.shape[:1], dtype=w.dtype)) for i, w in enumerate(weights))
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
    if key == LAYERS_KEY:
        if dtype.kind != "U" or shape != () or dtype.itemsize > 4 * MAX_TEXT:
            raise InputError(
                f"layers of {path} must be one text of at most {MAX_TEXT} characters, got {dtype} of shape {shape}; "
                "save a str"
            )
    elif dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise InputError(f"{key} of {path} must be float32 or float64, got {dtype}; convert it with astype")
    if math.prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise InputError(
            f"{key} of {path} must hold the {math.prod(shape)} numbers that its shape {shape} promises, "
            f"got {(len(data) - stream.tell()) // dtype.itemsize}; write the file anew"
        )
    flat = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    array = flat.reshape(shape, order="F" if fortran else "C")
    return np.asarray(array, dtype=dtype.newbyteorder("="), order="C")
