"""Two points, trial by trial on the same target networks: whose gap is smaller, and by how much.

The gap of a trial is only bracketed, so a trial decides for sure only where the brackets do not overlap. The attained
values decide nearly always, but say something of the truth only as far as the search finds the supremum.
"""

import math
from dataclasses import dataclass

from simprune.analysis.confidence import Proportion, share
from simprune.analysis.estimates import CONFIDENCE, Interval, Refused
from simprune.analysis.quantiles import QuantileEstimate
from simprune.design.point import Point

ERROR = 1.0 - CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """P(gap of A < gap of B), bracketed; Clopper-Pearson intervals.

    ``surely``: of the trials that are certified for A, those whose certified A is below the attained B: at least these.
    ``possibly``: of those certified for B, all but those whose certified B is below the attained A: at most these (trials
    are certified by their index, so these are as random as all). ``attained`` compares attained values, ``ties`` are equal.
    ``claim``: "A" if the interval of ``surely`` lies above 1/2, "B" if that of ``possibly`` lies below, else "open".
    """

    surely: Proportion
    attained: Proportion
    possibly: Proportion
    ties: int
    claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Quantiles of gap B - gap A over trials, with exact intervals from order statistics of the paired differences.

    ``least`` (attained B - certified A, trials certified for A) and ``most`` (certified B - attained A, trials certified
    for B) bracket the true quantiles; ``attained`` is of attained values and bounds them on neither side.
    """

    least: tuple[QuantileEstimate, ...] | Refused
    attained: tuple[QuantileEstimate, ...]
    most: tuple[QuantileEstimate, ...] | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Quantile of B minus quantile of A, of attained ("lower") or certified ("upper") values.

    The interval is approximate: the order-statistic intervals of both quantiles combined with the ``correlation`` that
    pairing gives them (MOVER: Zou and Donner, Statistics in Medicine 27, 2008).
    """

    side: str
    level: float
    a: float
    b: float
    shift: float
    correlation: float
    interval: Interval | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class PairComparison:
    """All that is compared of two points over ``pairs`` common trials, of which ``certified`` are so on both sides."""

    a: Point
    b: Point
    digest_a: str
    digest_b: str
    pairs: int
    certified: int
    smaller: Smaller
    differences: Differences
    shifts: tuple[Shift, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The comparison of all pairs of points of the results named ``name_a`` and ``name_b``."""

    name_a: str
    name_b: str
    confidence: float
    levels: tuple[float, ...]
    pairs: tuple[PairComparison, ...]


def uncertified(side: str) -> Refused:
    """Return why there is nothing certified to tell of one side."""
    return Refused(reason=f"no trial of {side} is certified; add the spectral estimator")


def smaller(n: int, n_a: int, n_b: int, surely_a: int, surely_b: int, attained: int, ties: int) -> Smaller:
    """Return the bracket of P(A < B) from counts; ``n_a`` and ``n_b`` are the trials certified for A and for B."""
    surely, possibly = share(surely_a, n_a, error=ERROR), share(n_b - surely_b, n_b, error=ERROR)
    claim = "open"
    if isinstance(surely.interval, Interval) and surely.interval.low > 0.5:
        claim = "A"
    elif isinstance(possibly.interval, Interval) and possibly.interval.high < 0.5:
        claim = "B"
    return Smaller(surely=surely, attained=share(attained, n, error=ERROR), possibly=possibly, ties=ties, claim=claim)


def indicator_correlation(both: int, a: int, b: int, n: int) -> float:
    """Return the correlation of two events from the numbers of trials with both, with each, and of all."""
    spread = math.sqrt(a * (n - a)) * math.sqrt(b * (n - b))
    return (n * both - a * b) / spread if spread else 0.0


def shift(side: str, a: QuantileEstimate, b: QuantileEstimate, correlation: float) -> Shift:
    """Return the shift from quantile ``a`` to quantile ``b`` of the same level and rows.

    With l, u the ends of the intervals of a and b, the interval of b - a is
    b - a - sqrt((b - l_b)^2 + (u_a - a)^2 - 2 r (b - l_b) (u_a - a)) .. b - a + sqrt((u_b - b)^2 + (a - l_a)^2 - 2 r ...).
    """
    assert a.value is not None
    assert b.value is not None
    return Shift(
        side=side,
        level=a.level,
        a=a.value,
        b=b.value,
        shift=b.value - a.value,
        correlation=correlation,
        interval=_mover(a.value, a.interval, b.value, b.interval, correlation),
    )


def _mover(a: float, at: Interval | Refused, b: float, bt: Interval | Refused, correlation: float) -> Interval | Refused:
    if isinstance(at, Refused):
        return at
    if isinstance(bt, Refused):
        return bt
    if not all(math.isfinite(end) for end in (at.low, at.high, bt.low, bt.high)):
        return Refused(reason="an end of an interval is infinite")
    down = _hypotenuse(b - bt.low, at.high - a, correlation)
    up = _hypotenuse(bt.high - b, a - at.low, correlation)
    return Interval(low=b - a - down, high=b - a + up, confidence=at.confidence)


def _hypotenuse(x: float, y: float, correlation: float) -> float:
    return math.sqrt(max(0.0, x * x + y * y - 2.0 * correlation * x * y))
