"""How long the trials of a family take, and how many make a block of about a second."""

from collections import deque
from collections.abc import Iterable
from math import prod

import numpy as np

from simprune.design.point import Point
from simprune.records import column_shape, columns_of

TARGET_SECONDS = 1.0
GROWTH = 4
MAX_RESULT_BYTES = 10_000_000
REMEMBERED = 4
LAST_SHARE = 4
SMALLEST_SHARE = 8


def row_bytes(points: Iterable[Point]) -> int:
    """Return the bytes that one trial of all ``points`` takes in memory."""
    return sum(np.dtype(c.dtype).itemsize * prod(column_shape(c, point, 1)) for point in points for c in columns_of(point))


class Pace:
    """Moving estimate for one family; it decides sizes and forecasts, never a result.

    The estimate is the fastest of the last few blocks: the first block of every worker also loads or compiles
    kernels, and such outliers are always slow.
    """

    def __init__(self, *, bytes_per_trial: int, fixed_size: int | None = None) -> None:
        self._limit = max(1, MAX_RESULT_BYTES // bytes_per_trial)
        self._fixed = fixed_size
        self._recent: deque[float] = deque(maxlen=REMEMBERED)
        self._largest = 0

    @property
    def seconds_per_trial(self) -> float | None:
        """Estimated seconds of one trial of all points of the family, None before the first block."""
        return min(self._recent) if self._recent else None

    def observe(self, n_trials: int, seconds: float) -> None:
        """Take note of a block that was computed."""
        self._recent.append(max(seconds, 1e-9) / n_trials)
        self._largest = max(self._largest, n_trials)

    def size(self, *, n_left: int | None = None) -> int:
        """Return the number of trials of the next block: 1 at first, then at most GROWTH times the largest so far.

        ``n_left`` tells that no more than these trials are left of all work: blocks shrink towards the end, down to an
        eighth, so that all workers end together.
        """
        if self._fixed is not None:
            return self._fixed
        if self.seconds_per_trial is None:
            return 1
        wanted = int(TARGET_SECONDS / self.seconds_per_trial)
        size = min(wanted, GROWTH * self._largest, self._limit)
        if n_left is not None:
            size = min(size, max(n_left // LAST_SHARE, size // SMALLEST_SHARE))
        return max(1, size)
