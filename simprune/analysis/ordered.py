"""Values in ascending order: a sorted array, or a column that is too long for memory and answers by rank."""

from typing import Any, Literal, Protocol

import numpy as np


class Ordered(Protocol):
    """Float64 values in ascending order, NaN last, as ``np.sort`` leaves them; a sorted array is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rank: Any, /) -> Any:
        """Return the value of a 0-based rank, or the values of an array of ranks."""

    def searchsorted(self, value: Any, /, side: Literal["left", "right"]) -> Any:
        """Return the number of values below ``value`` (left) or at most ``value`` (right)."""


def median(ordered: Ordered) -> float:
    """Return what ``np.median`` does, NaN if any value is NaN.

    >>> median(np.array([1.0, 2.0, 4.0, 5.0]))
    3.0
    """
    n = len(ordered)
    low, high, last = (float(ordered[rank]) for rank in ((n - 1) // 2, n // 2, n - 1))
    return last if np.isnan(last) else low if low == high else 0.5 * (low + high)
