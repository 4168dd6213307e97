"""Which trials of which points are there."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.records import Ranges


class Coverage:
    """Sorted disjoint ranges a point, merged as they grow: its size is the number of holes, not of trials.

    >>> coverage = Coverage()
    >>> for first, stop in ((0, 2), (4, 6), (2, 3)):
    ...     coverage.add("point", first, stop)
    >>> coverage.ranges("point"), coverage.missing("point", 0, 8)
    (((0, 3), (4, 6)), ((3, 4), (6, 8)))
    """

    def __init__(self) -> None:
        self._ranges: dict[str, list[tuple[int, int]]] = {}

    def ranges(self, digest: str) -> Ranges:
        """Return the disjoint half-open ranges of a point."""
        return tuple(self._ranges.get(digest, ()))

    def add(self, digest: str, first: int, stop: int) -> None:
        """Add trials ``first .. stop - 1``."""
        if first >= stop:
            return
        ranges = self._ranges.setdefault(digest, [])
        left = bisect_left(ranges, first, key=lambda r: r[1])
        right = bisect_right(ranges, stop, key=lambda r: r[0])
        if left < right:
            first, stop = min(first, ranges[left][0]), max(stop, ranges[right - 1][1])
        ranges[left:right] = [(first, stop)]

    def missing(self, digest: str, first: int, stop: int) -> Ranges:
        """Return what of ``first .. stop - 1`` is not there."""
        ranges = self._ranges.get(digest, [])
        missing = []
        for start, end in ranges[bisect_right(ranges, first, key=lambda r: r[1]) :]:
            if start >= stop:
                break
            if first < start:
                missing.append((first, start))
            first = end
        if first < stop:
            missing.append((first, stop))
        return tuple(missing)


def runs(trials: npt.NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield the half-open ranges of consecutive indices of a rising array.

    >>> list(runs(np.array([0, 1, 2, 5, 6])))
    [(0, 3), (5, 7)]
    """
    breaks = np.flatnonzero(np.diff(trials) != 1) + 1
    for begin, end in zip([0, *breaks], [*breaks, len(trials)], strict=True):
        yield int(trials[begin]), int(trials[end - 1]) + 1
