"""The container of safetensors: eight bytes with the size of a JSON header, the header, and the numbers of all tensors.

Tensors are views of the mapped file; sizes and offsets are checked before any number is touched. The format is described
at https://github.com/huggingface/safetensors#format.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.files import checked_file, mapped_bytes, write_whole

Array = npt.NDArray[Any]
MAX_HEADER = 100_000_000
MAX_AXES = 32
_TYPES = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("<u1"),
    "I8": np.dtype("<i1"),
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "F8_E4M3": np.dtype("<u1"),
    "F8_E5M2": np.dtype("<u1"),
}
_NAMES = {np.dtype("<f4"): "F32", np.dtype("<f8"): "F64", np.dtype("?"): "BOOL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a tensor lies: type name, shape, and first and last byte after the header."""

    type: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SafetensorsFile:
    """The header of a file and its mapped numbers."""

    path: Path
    entries: Mapping[str, Entry]
    metadata: Mapping[str, str]
    data: npt.NDArray[np.uint8]

    def stored(self, name: str) -> Array:
        """Return a tensor as a view of the file; bfloat16 as its bits."""
        entry = self.entries[name]
        return self.data[entry.begin : entry.end].view(_TYPES[entry.type]).reshape(entry.shape)

    def floats(self, name: str) -> Array:
        """Return a floating-point tensor: float32 and float64 as views, bfloat16 and float16 exactly as float32."""
        if self.entries[name].type == "BF16":
            return (self.stored(name).astype(np.uint32) << 16).view(np.float32)
        stored = self.stored(name)
        return stored.astype(np.float32) if stored.dtype.itemsize == 2 else stored

    def is_float(self, name: str) -> bool:
        """Whether ``floats`` can return the tensor."""
        return self.entries[name].type in ("F16", "BF16", "F32", "F64")


def open_safetensors(path: str | Path) -> SafetensorsFile:
    """Return the tensors of a file; InputError where header, sizes or offsets are wrong."""
    path = checked_file(path)
    data = mapped_bytes(path)
    size = int(data[:8].view("<u8")[0]) if len(data) >= 8 else 0
    if not 2 <= size <= min(MAX_HEADER, len(data) - 8):
        raise _damaged(path, f"a header of {size} bytes in a file of {len(data)}")
    try:
        header = json.loads(data[8 : 8 + size].tobytes().decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"a header that is no JSON ({error})") from None
    if not isinstance(header, dict):
        raise _damaged(path, "a header that is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _damaged(path, "metadata that are no texts")
    body = data[8 + size :]
    entries = {name: _entry(name, value, len(body), path) for name, value in header.items()}
    _check_cover(entries, len(body), path)
    return SafetensorsFile(path=path, entries=entries, metadata=metadata, data=body)


def write_tensors(
    path: str | Path, tensors: Mapping[str, Array], metadata: Mapping[str, str], *, types: Mapping[str, str] | None = None
) -> None:
    """Write tensors, widest numbers first; ``types`` names the type of each where NumPy has none (bfloat16)."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    arrays, at = [], 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, natural_key(item[0]))):
        array = np.ascontiguousarray(tensor)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        kind = types[name] if types else _NAMES[array.dtype]
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + array.nbytes]}
        arrays.append(array)
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    write_whole(path, len(text).to_bytes(8, "little"), text, *arrays)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name '{next(n for n in names if names.count(n) > 1)}' occurs twice")
    return found


def _entry(name: str, value: Any, room: int, path: Path) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"no dtype, shape and data_offsets of '{name}'")
    kind, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(kind, str) or kind not in _TYPES:
        raise InputError(f"'{name}' of {path} must be of a known type ({', '.join(_TYPES)}), got {kind!r:.40}; convert it")
    if not _whole(shape) or len(shape) > MAX_AXES or not _whole(offsets) or len(offsets) != 2:
        raise _damaged(path, f"shape or offsets of '{name}' that are no whole numbers")
    begin, end = offsets
    size = math.prod(shape) * _TYPES[kind].itemsize
    if not begin <= end <= room or end - begin != size:
        raise _damaged(path, f"'{name}' of {size} bytes in bytes {begin} to {end} of {room}")
    return Entry(type=kind, shape=tuple(shape), begin=begin, end=end)


def _whole(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in numbers)


def _check_cover(entries: Mapping[str, Entry], room: int, path: Path) -> None:
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != at:
            raise _damaged(path, f"'{name}' that begins at byte {entry.begin}, not at {at} where the one before ends")
        at = entry.end
    if at != room:
        raise _damaged(path, f"{room - at} bytes that belong to no tensor")


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} must be a whole safetensors file, got {reason}; write it anew")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return what sorts names by the numbers in them: fc2 before fc10."""
    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(p), "") if p.isdecimal() and p.isascii() else (1, 0, p) for p in parts]
