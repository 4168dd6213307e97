"""The summary of a study: everything the report prints, as dataclasses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from simprune.analysis.confidence import GapProbability
from simprune.analysis.estimates import Refused
from simprune.analysis.promises import PointPromise
from simprune.analysis.quantiles import QuantileEstimate
from simprune.analysis.relative import RelativeGap
from simprune.analysis.scaling import ExponentFit
from simprune.analysis.tails import PointTail
from simprune.analysis.thresholds import ThresholdTest
from simprune.design.point import Point
from simprune.records import Ranges, TrialTable
from simprune.store.stops import Stop
from simprune.trained.network import TrainedNetwork


class Results(Protocol):
    """What the analysis reads: a store's results, or a stand-in for tests."""

    @property
    def points(self) -> tuple[Point, ...]:
        """All points of the design."""

    @property
    def name(self) -> str:
        """Name of the design."""

    @property
    def trials(self) -> int:
        """Number of trials asked of every point."""

    @property
    def epsilons(self) -> tuple[float, ...]:
        """Values of epsilon the design asks about, possibly none."""

    @property
    def delta(self) -> float:
        """Tolerated probability of a gap above epsilon."""

    @property
    def failed(self) -> tuple[Any, ...]:
        """Trials that could not be computed."""

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Why points of an adaptive run have enough trials."""

    @property
    def problems(self) -> Mapping[str, str]:
        """Unreadable parts by name, with reasons."""

    def completed(self, point: Point) -> Ranges:
        """Return the trials of a point that can be read, as disjoint half-open ranges."""

    def table(self, point: Point, *, only: Sequence[str] | None = None) -> TrialTable:
        """Return the rows of a point in trial order, with the columns named in ``only``."""

    def chunks(self, point: Point, *, only: Sequence[str]) -> Iterator[TrialTable]:
        """Yield the columns named in ``only`` in trial order, a bounded number of rows at a time."""

    def trained(self, point: Point) -> TrainedNetwork | None:
        """Return the weights of a fixed target, None for a sampled one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSummary:
    """What is pruned of one layer; ``n_pruned`` is the mean over the rows if the rule's count is random."""

    n_weights: int
    n_pruned: float
    pruned_fraction: float
    kept_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSummary:
    """All estimates of one point; ``lower`` from attained, ``upper`` from certified values of the gap.

    ``upper_limit`` exceeds the 1 - delta quantile of the gap with probability 0.95 (one-sided, certified rows only).
    ``count_errors`` is the number of rows whose recorded n_pruned is not the one the rule demands.
    """

    point: Point
    digest: str
    layers: tuple[LayerSummary, ...]
    trials: int
    below_noise: int
    noise_floor: float | None
    certified: int
    count_errors: int
    lower: tuple[QuantileEstimate, ...]
    upper: tuple[QuantileEstimate, ...] | Refused
    upper_limit: float | Refused
    probabilities: tuple[GapProbability, ...]
    relative: RelativeGap | Refused
    promise: PointPromise | Refused
    tails: tuple[PointTail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFit:
    """Fitted exponent of one quantile of the attained ("lower") or certified ("upper") values of the gap."""

    side: str
    level: float
    fit: ExponentFit | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySummary:
    """Exponents over one family; ``theorem1``, ``sharp`` and ``latala`` are None where nothing is claimed."""

    points: tuple[int, ...]
    widths: tuple[int, ...]
    pattern: str
    theorem1: float | None
    sharp: float | None
    latala: float | None
    regime: str
    fits: tuple[LevelFit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedConstant:
    """Least C2 at ``delta`` for the ``widths`` of ``points`` (indices): at least ``lower``, at most ``upper``.

    ``lower`` is of the attained gaps, ``upper`` of the certified ones (None if some width has none).
    """

    points: tuple[int, ...]
    widths: tuple[int, ...]
    alpha: float
    delta: float
    lower: float
    upper: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The whole analysis; indices of points count from 0 in the order of ``points``."""

    name: str
    trials: int
    confidence: float
    levels: tuple[float, ...]
    delta: float
    epsilons_from_data: bool
    points: tuple[PointSummary, ...]
    exponents: tuple[FamilySummary, ...]
    constants: tuple[FittedConstant, ...]
    thresholds: tuple[ThresholdTest, ...]
    threshold_error: float
    no_thresholds: tuple[str, ...]
    failed_trials: int
    problems: tuple[str, ...]
    stops: tuple[Stop, ...]
