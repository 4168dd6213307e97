"""What results are read from: a folder or a packed file."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from simprune.design.point import Point
from simprune.records import Column, Ranges
from simprune.store.failures import FailedTrials
from simprune.store.record import RunRecord
from simprune.store.stops import Stop
from simprune.trained.network import TrainedNetwork


class AbstractSource(ABC):
    """Stored rows of the points of one run; points are named by the digests of ``record``."""

    record: RunRecord
    failed: tuple[FailedTrials, ...]
    stops: tuple[Stop, ...]
    problems: Mapping[str, str]

    @abstractmethod
    def completed(self, digest: str) -> Ranges:
        """Return the readable trials of a point as disjoint half-open ranges."""

    @abstractmethod
    def pieces(self, digest: str, point: Point, *, names: Sequence[str]) -> Iterator[Mapping[str, Column]]:
        """Yield columns of consecutive rows, all together in trial order, a bounded number of rows at a time.

        Raises:
            CorruptSegment: a segment turned out to be unreadable; it is in ``problems`` now, and a new call leaves it out.

        """

    @abstractmethod
    def network(self, sha256: str) -> TrainedNetwork:
        """Return a fixed target."""
