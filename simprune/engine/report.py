"""What a run did, for the caller to tell."""

from dataclasses import dataclass

from simprune.design.point import Point
from simprune.store.stops import Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One trial of one point that failed when it ran alone."""

    point: Point
    trial: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Counts of rows (one row = one trial of one point) of a run that ended.

    ``n_given_up`` rows were not tried, because too many trials on the same network had failed before.
    ``stops`` says why points of an adaptive run have enough trials; ``n_target`` counts those then.
    """

    n_target: int
    n_before: int
    n_computed: int
    failed: tuple[Failure, ...]
    n_given_up: int
    stopped: bool
    seconds: float
    stops: tuple[Stop, ...] = ()

    @property
    def n_missing(self) -> int:
        """Rows that the design asks for and the store does not hold."""
        return self.n_target - self.n_before - self.n_computed

    @property
    def complete(self) -> bool:
        """Whether every row of the design is stored."""
        return self.n_missing == 0
