"""How a kernel that Numba compiled takes its arguments: one flat record, as the tests read it off the PTX."""

import struct
from collections.abc import Sequence
from typing import Any

# Of a scalar by the type's name, in the host's own alignment, which is the device's.
CODES = {"bool": "?", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d"}


def packing(signature: Sequence[Any]) -> struct.Struct:
    """Return the record of a signature's arguments; an array is ``5 + 2 n_dimensions`` values (``array_values``)."""
    return struct.Struct("".join(_code(kind) for kind in signature))


def _code(kind: Any) -> str:
    return "PPqqP" + "qq" * kind.ndim if hasattr(kind, "ndim") else CODES[kind.name]


def array_values(address: int, shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Return the values of a C-contiguous array: no owner, items, bytes of an item, address, shape, strides in bytes.

    >>> array_values(4096, (2, 3), 4)
    (0, 0, 6, 4, 4096, 2, 3, 12, 4)
    """
    strides, step = [], itemsize
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return (0, 0, step // itemsize, itemsize, address, *shape, *reversed(strides))
