"""A kernel's parameters as Numba passes arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.errors import BadLaunch
from tests.ptx.memory import GlobalMemory, Segment
from tests.ptx.syntax import DTYPES, Function


def bind(
    function: Function, args: Sequence[Any], memory: GlobalMemory, undefined: Sequence[int]
) -> tuple[dict[str, npt.NDArray[np.uint8]], list[Segment]]:
    """Return the kernel's parameters as Numba passes the arguments, and the segments of the arrays.

    An array is meminfo, parent, number of items, size of an item, data pointer, shape and strides (in bytes).
    """
    values: list[Any] = []
    segments: list[Segment] = []
    for i, arg in enumerate(args):
        for item in _flat(arg):
            if not isinstance(item, np.ndarray):
                values.append(item)
                continue
            if not item.flags.c_contiguous:
                raise BadLaunch(f"argument {i} must be C-contiguous, got strides {item.strides}")
            data = item.reshape(-1).view(np.uint8)
            segments.append(memory.add(f"argument {i}", data, read_only=not item.flags.writeable, undefined=i in undefined))
            values += [0, 0, item.size, item.itemsize, segments[-1].base, *item.shape, *item.strides]
    if len(values) != len(function.params):
        raise BadLaunch(f"the kernel has {len(function.params)} parameters, the arguments make {len(values)}")
    params = {}
    for param, value in zip(function.params, values, strict=True):
        params[f"{function.name}/{param.name}"] = _scalar_bytes(value, DTYPES[param.kind], param.name)
    return params, segments


def _flat(arg: Any) -> list[Any]:
    return [item for part in arg for item in _flat(part)] if isinstance(arg, tuple) else [arg]


def _scalar_bytes(value: Any, dtype: np.dtype[Any], name: str) -> npt.NDArray[np.uint8]:
    """Return the bytes of a scalar; an integer may be signed, since the kernel's parameters do not say."""
    number = np.asarray(value)
    if dtype.kind == "f":
        fits = number.dtype.kind in "iuf"
        stored = number.astype(dtype) if fits else number
    else:
        whole = number.dtype.kind in "iub"
        low = int(number) if whole else 0
        fits = whole and -(1 << (8 * dtype.itemsize - 1)) <= low < 1 << 8 * dtype.itemsize
        stored = np.array(low & ((1 << 8 * dtype.itemsize) - 1), dtype)
    if not fits:
        raise BadLaunch(f"parameter {name[-24:]} of type {dtype} got {value!r}")
    return stored.reshape(1).view(np.uint8)
