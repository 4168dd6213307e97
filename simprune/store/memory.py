"""The store without a disk: twin of the folder for tests and for results that nobody keeps."""

from collections.abc import Iterator, Sequence

import numpy as np

from simprune.design.point import Point
from simprune.records import Column, Ranges, TrialBatch, TrialTable, column_shape, columns_of
from simprune.store.base import AbstractStore
from simprune.store.coverage import Coverage
from simprune.store.failures import FailedTrials, still_failed
from simprune.store.stops import Stop


class MemoryStore(AbstractStore):
    """Rows in memory, for any points."""

    def __init__(self) -> None:
        self._batches: dict[str, list[TrialBatch]] = {}
        self._coverage = Coverage()
        self._failures: tuple[FailedTrials, ...] = ()
        self.stops: tuple[Stop, ...] = ()

    def completed(self, point: Point) -> Ranges:
        return self._coverage.ranges(point.digest())

    def append(self, batches: Sequence[TrialBatch]) -> None:
        for batch in batches:
            digest = batch.point.digest()
            for first, stop in self._coverage.missing(digest, batch.first, batch.stop):
                self._batches.setdefault(digest, []).append(batch.rows(first, stop))
            self._coverage.add(digest, batch.first, batch.stop)

    def read(self, point: Point) -> TrialTable:
        parts = sorted(self._batches.get(point.digest(), []), key=lambda batch: batch.first)
        columns: dict[str, Column] = {}
        for spec in columns_of(point):
            empty = np.empty(column_shape(spec, point, 0), dtype=spec.dtype)
            columns[spec.name] = np.concatenate([empty, *(part.columns[spec.name] for part in parts)])
        return TrialTable(point=point, columns=columns)

    def rows(self, points: Sequence[Point], *, names: Sequence[str]) -> Iterator[tuple[Point, TrialTable]]:
        """Yield the columns ``names`` of points."""
        for point in points:
            table = self.read(point)
            yield point, TrialTable(point=point, columns={name: table[name] for name in names})

    def record_failures(self, failures: Sequence[FailedTrials]) -> None:
        """Remember trials that could not be computed."""
        self._failures = still_failed((*self._failures, *failures), self._coverage)

    def record_stops(self, stops: Sequence[Stop]) -> None:
        """Remember why points have enough trials."""
        self.stops = tuple(stops)

    @property
    def failed(self) -> tuple[FailedTrials, ...]:
        """Trials that failed and were not computed since."""
        return still_failed(self._failures, self._coverage)

    def flush(self) -> None:
        """Do nothing: appended rows are where they will be."""
