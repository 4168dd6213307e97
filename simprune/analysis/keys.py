"""Integers in the order of the float64 values they stand for, so that values can be counted by their leading bits."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Keys = npt.NDArray[np.int64]

LEAST, MOST = -(1 << 63), (1 << 63) - 1
_MAGNITUDE = np.int64(MOST)


def keys_of(values: Doubles) -> Keys:
    """Return the int64 keys of values: x < y iff key(x) < key(y); both zeros are 0.0, every NaN comes last.

    >>> keys_of(np.array([-np.inf, -1.0, -0.0, 0.0, 5e-324, np.inf, np.nan])).argsort(kind="stable").tolist()
    [0, 1, 2, 3, 4, 5, 6]
    """
    plain = values + 0.0
    if np.isnan(plain).any():
        plain[np.isnan(plain)] = np.nan
    bits = plain.view(np.int64)
    if len(bits) and bits.min() < 0:
        bits ^= (bits >> 63) & _MAGNITUDE
    return bits


def values_of(keys: Keys) -> Doubles:
    """Return the values of keys.

    >>> values_of(keys_of(np.array([-1.5, 0.0, 3.0]))).tolist()
    [-1.5, 0.0, 3.0]
    """
    return np.asarray(keys ^ ((keys >> 63) & _MAGNITUDE)).view(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Bins of keys that agree in all but the last ``shift`` bits; the end bins take everything beyond them."""

    shift: int
    low: int
    high: int

    @classmethod
    def over(cls, first: int, last: int, *, bits: int, margin: int = 0) -> "Grid":
        """Return at most ``2**bits + 1`` bins over the keys ``first .. last``, and ``margin`` more on both sides."""
        shift = max(0, (last - first).bit_length() - bits)
        return cls(shift=shift, low=(first >> shift) - margin, high=(last >> shift) + margin)

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.high - self.low + 1

    def bins(self, keys: Keys) -> Keys:
        """Return the bin of every key."""
        found = keys >> self.shift
        np.clip(found, self.low, self.high, out=found)
        found -= self.low
        return found

    def edges(self, index: int) -> tuple[int, int]:
        """Return the first and the last key of a bin whose keys are all inside the grid."""
        first = (self.low + index) << self.shift
        return first, first + (1 << self.shift) - 1
