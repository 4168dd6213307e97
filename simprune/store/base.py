"""What the engine needs of a store."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from simprune.design.point import Point
from simprune.records import Ranges, TrialBatch, TrialTable


class AbstractStore(ABC):
    """Rows of trials, each at most once; a batch that was appended survives any kill."""

    @abstractmethod
    def completed(self, point: Point) -> Ranges:
        """Return the trials of ``point`` that are stored or accepted for storing, as disjoint half-open ranges."""

    @abstractmethod
    def append(self, batches: Sequence[TrialBatch]) -> None:
        """Store rows; rows of trials that are there already are dropped (they are equal)."""

    @abstractmethod
    def read(self, point: Point) -> TrialTable:
        """Return the rows of ``point`` in trial order."""
