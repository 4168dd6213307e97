"""Facts that are counted while the rows of a point pass by."""

import numpy as np
import numpy.typing as npt

from simprune.design.point import Point
from simprune.records import Status, TrialTable

Doubles = npt.NDArray[np.float64]

NEEDS = ("status", "noise_floor", "n_pruned", "threshold")
KEPT_ROWS = 100_000
"""Rows whose thresholds are kept for their test: the first ones, which are as random as any."""


class Tally:
    """Counts over the rows of one point, and the thresholds of the first 100,000 of them."""

    def __init__(self, point: Point) -> None:
        self.n_rows = 0
        self.below_noise = 0
        self.count_errors = 0
        self._point = point
        self._floor = -np.inf
        self._pruned = np.zeros(point.network.depth, dtype=np.int64)
        self._thresholds: list[Doubles] = []

    def add(self, table: TrialTable) -> None:
        """Count the next rows; ``table`` holds at least the columns NEEDS."""
        kept, n = min(self.n_rows, KEPT_ROWS), len(table["status"])
        if not n:
            return
        self._thresholds.append(table["threshold"][: KEPT_ROWS - kept].copy())
        self.n_rows += n
        self.below_noise += int(np.count_nonzero(table["status"] & int(Status.BELOW_NOISE)))
        self._floor = float(np.maximum(self._floor, table["noise_floor"].max()))
        self._pruned += table["n_pruned"].sum(axis=0)
        if self._point.rule.exact_count:
            wrong = (table["n_pruned"] != np.array(self._point.n_pruned)).any(axis=1)
            self.count_errors += int(np.count_nonzero(wrong))

    @property
    def noise_floor(self) -> float | None:
        """Largest rounding error bound of an attained gap, None without rows."""
        return self._floor if self.n_rows else None

    @property
    def thresholds(self) -> Doubles:
        """Thresholds of the first rows, ``[at most 100,000, depth]``."""
        return np.concatenate([np.empty((0, self._point.network.depth)), *self._thresholds])

    def n_pruned(self) -> tuple[float, ...]:
        """Return the number of pruned weights of every layer, the mean over the rows if the rule's count is random."""
        if self._point.rule.exact_count or not self.n_rows:
            return tuple(self._point.n_pruned)
        return tuple((self._pruned / self.n_rows).tolist())
