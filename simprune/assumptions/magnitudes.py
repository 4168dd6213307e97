"""Magnitudes of a layer in order: what magnitude pruning removes, and which magnitudes tie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]

_WINDOW = 64
_LOOKS = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The ``n_pruned`` smallest magnitudes: all below ``largest``, of those equal to it flat indices below ``stop``."""

    n_pruned: int
    largest: float
    stop: int

    def removes(self, values: Array, flat: npt.NDArray[np.int64]) -> Flags:
        """Return which entries go, from their values and flat indices (arrays of one shape)."""
        size = np.abs(values)
        return np.asarray((size < self.largest) | ((size == self.largest) & (flat < self.stop)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """``tied``: weights whose magnitude another weight shares; ``zeros``: weights that are zero (they tie as well).

    ``rounding``: how many would tie if a continuous law were rounded to the precision of the array.
    """

    tied: int
    zeros: int
    rounding: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Magnitudes:
    """Magnitudes of a layer, flat and in ascending order."""

    flat: Array
    ordered: Array

    @classmethod
    def of(cls, matrix: Array) -> "Magnitudes":
        """Return the magnitudes of a matrix."""
        flat = np.abs(matrix).ravel()
        return cls(flat=flat, ordered=np.sort(flat))

    @property
    def largest(self) -> float:
        """Largest magnitude."""
        return float(self.ordered[-1])

    def ties(self) -> Ties:
        """Return how many magnitudes tie.

        >>> Magnitudes.of(np.array([[1.0, -1.0], [0.0, 2.0]])).ties()
        Ties(tied=2, zeros=1, rounding=0.0)
        """
        equal = self.ordered[1:] == self.ordered[:-1]
        tied = np.concatenate(([False], equal)) | np.concatenate((equal, [False]))
        zeros = int(np.searchsorted(self.ordered, 0.0, side="right"))
        return Ties(tied=int(np.count_nonzero(tied)), zeros=zeros, rounding=self._rounding())

    def _rounding(self) -> float:
        """Expected ties: 1 - exp(-d u) of a weight, d the density of the weights around it, u the spacing of the floats.

        The density comes from a window of ranks; where all magnitudes of the window are equal none is counted.
        """
        n = len(self.ordered)
        if n <= 4 * _WINDOW:
            return 0.0
        ranks = np.unique(np.linspace(_WINDOW, n - 1 - _WINDOW, min(n, _LOOKS)).astype(np.intp))
        width = (self.ordered[ranks + _WINDOW] - self.ordered[ranks - _WINDOW]).astype(np.float64)
        spacing = np.spacing(self.ordered[ranks]).astype(np.float64)
        expected = 2.0 * _WINDOW * np.divide(spacing, width, out=np.zeros_like(width), where=width > 0.0)
        return n * float(np.mean(-np.expm1(-expected)))

    def smallest(self, n_pruned: int) -> Pruned:
        """Return the ``n_pruned`` smallest magnitudes; ties go to the lower flat index, as in all pruning here.

        >>> Magnitudes.of(np.array([[1.0, -1.0], [0.5, 1.0]])).smallest(2)
        Pruned(n_pruned=2, largest=1.0, stop=1)
        """
        largest = self.ordered[n_pruned - 1]
        below = int(np.searchsorted(self.ordered, largest))
        equal = np.flatnonzero(self.flat == largest)
        return Pruned(n_pruned=n_pruned, largest=float(largest), stop=int(equal[n_pruned - below - 1]) + 1)

    def positions(self, pruned: Pruned) -> npt.NDArray[np.intp]:
        """Return the flat indices that go, ascending."""
        near = np.flatnonzero(self.flat <= pruned.largest)
        return near[(self.flat[near] < pruned.largest) | (near < pruned.stop)]
