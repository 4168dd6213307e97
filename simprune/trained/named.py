"""Weight tensors by their names, whatever layer they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NamedWeight:
    """A matrix ``[d_out, d_in]`` or kernel ``[c_out, c_in / groups, kh, kw]`` of float32 or float64 numbers.

    ``values`` may be a read-only view of the file.
    """

    name: str
    values: Array


def weights_among(tensors: Mapping[str, Array]) -> tuple[NamedWeight, ...]:
    """Return the tensors with two or four axes, floating-point numbers and at least one entry, in their order.

    A first of three axes that is 1 is left out (recurrent layers of ONNX files).

    >>> import numpy as np
    >>> [w.name for w in weights_among({"a": np.ones((2, 3)), "b": np.ones(2), "c": np.ones((2, 2), dtype=bool)})]
    ['a']
    """
    return tuple(
        NamedWeight(name=name, values=values)
        for name, values in ((n, t[0] if t.ndim == 3 and t.shape[0] == 1 else t) for n, t in tensors.items())
        if values.ndim in (2, 4) and values.dtype.kind == "f" and values.size
    )
