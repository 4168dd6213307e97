"""A layer as the theory sees it, a matrix, and the parts of it that the tests look at."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.assumptions.magnitudes import Pruned
from simprune.model.errors import InputError

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Levels = npt.NDArray[np.uint8]

LEAST_WEIGHTS = 20
MOST_ENTRIES = 1 << 16
LEAST_ENTRIES = 1 << 13
ALL_ENTRIES = 1 << 18
_LEAST_SIDE = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A weight tensor as matrix ``[d_out, d_in]``; a kernel ``[c_out, c_in, kh, kw]`` as ``[c_out, c_in kh kw]``."""

    name: str
    shape: tuple[int, ...]
    matrix: Array

    @property
    def n_weights(self) -> int:
        """Number of weights D."""
        return self.matrix.size

    @property
    def untestable(self) -> str:
        """Why nothing can be tested, "" if something can."""
        if min(self.matrix.shape) < 2:
            return "it has a single row or column"
        if self.n_weights < LEAST_WEIGHTS:
            return f"it has fewer than {LEAST_WEIGHTS} weights"
        if self.matrix.min() == self.matrix.max():
            return "all its weights are equal"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Random rows and columns of a layer (all of them if it is small).

    ``values`` ``[n, m]``; ``levels`` ``[n, m]`` counts which of ``n_levels`` nested prunings remove each entry.
    """

    values: Doubles
    levels: Levels
    n_levels: int
    is_whole: bool


def as_layers(weights: Mapping[str, Array]) -> tuple[Layer, ...]:
    """Return the layers of named tensors; InputError for other shapes, other numbers, or entries that are not finite."""
    if not weights:
        raise InputError("a network must hold at least one weight matrix, got none; name its arrays W0, W1, ...")
    return tuple(_layer(name, np.asarray(values)) for name, values in weights.items())


def _layer(name: str, values: Array) -> Layer:
    if values.ndim not in (2, 4) or not values.size:
        raise InputError(
            f"{name} must be a matrix [d_out, d_in] or a kernel [c_out, c_in, kh, kw], got shape {values.shape}; "
            "leave it out"
        )
    if values.dtype.kind != "f":
        raise InputError(f"{name} must hold floating-point numbers, got {values.dtype}; convert it with astype")
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise InputError(f"{name} must be finite, got {bad} NaN or infinite entries; mend the file")
    return Layer(name=name, shape=values.shape, matrix=values.reshape(values.shape[0], -1))


def most_entries(n_layers: int) -> int:
    """Return how many entries of a layer are permuted: about 2^18 over all layers, 2^13 to 2^16 of each.

    >>> most_entries(1), most_entries(16), most_entries(100)
    (65536, 16384, 8192)
    """
    return min(MOST_ENTRIES, max(LEAST_ENTRIES, ALL_ENTRIES // max(1, n_layers)))


def sampled(layer: Layer, pruned: tuple[Pruned, ...], *, most: int, rng: np.random.Generator) -> Sample:
    """Return rows and columns drawn without replacement, at most about ``most`` entries, in the proportions of the layer."""
    shape = layer.matrix.shape
    short = max(min(*shape, _LEAST_SIDE), round(min(shape) * min(1.0, math.sqrt(most / layer.n_weights))))
    rows, columns = (_drawn(side, short if side == min(shape) else most // short, rng) for side in shape)
    flat = rows[:, None] * shape[1] + columns[None, :]
    values = layer.matrix[np.ix_(rows, columns)].astype(np.float64)
    levels = np.zeros(values.shape, dtype=np.uint8)
    for part in pruned:
        levels += part.removes(values, flat)
    return Sample(values=values, levels=levels, n_levels=len(pruned), is_whole=values.size == layer.n_weights)


def _drawn(count: int, wanted: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.sort(rng.choice(count, size=min(wanted, count), replace=False)).astype(np.int64)
