"""Sample quantiles with distribution-free intervals from order statistics; nothing is assumed of the law."""

import bisect
import math
from dataclasses import dataclass

from scipy import special

from simprune.analysis.bands import quantile_band
from simprune.analysis.estimates import CONFIDENCE, Interval, Refused
from simprune.analysis.ordered import Ordered
from simprune.model.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileEstimate:
    """Sample quantile of ``level`` (the ceil(n level)-th smallest of n values) with its two-sided interval.

    ``interval`` holds alone (pointwise), ``band`` together with those of all other levels (simultaneous, wider).
    """

    level: float
    value: float | None
    interval: Interval | Refused
    band: Interval | Refused
    n_rows: int


def binomial_cdf(successes: int, n: int, probability: float) -> float:
    """Return P(Bin(n, probability) <= successes)."""
    if successes < 0:
        return 0.0
    return 1.0 if successes >= n else float(special.betaincc(successes + 1.0, float(n - successes), probability))


def trials_needed(level: float, *, error: float, two_sided: bool) -> int:
    """Return the least number of trials for which the interval of the quantile exists.

    One-sided, the largest of n values must exceed the quantile with probability 1 - error: level^n <= error.

    >>> trials_needed(0.95, error=0.05, two_sided=False)
    59
    """
    _check_level(level)
    side = error / 2 if two_sided else error
    rarest = max(level, 1.0 - level) if two_sided else level
    n = max(1, math.ceil(math.log(side) / math.log(rarest) - 1e-9))
    return n if rarest**n <= side else n + 1


def order_ranks(n: int, level: float, *, error: float) -> tuple[int, int]:
    """Return ranks (l, u), 1-based, with P(X_(l) <= quantile <= X_(u)) >= 1 - error; 0 and n + 1 where none exists.

    l is the largest rank with P(Bin(n, level) <= l - 1) <= error / 2, u the least with P(Bin(n, level) >= u) <= error / 2.
    """
    low = bisect.bisect_right(range(n), error / 2, key=lambda j: binomial_cdf(j, n, level))
    return low, n + 1 - bisect.bisect_right(range(n), error / 2, key=lambda j: binomial_cdf(j, n, 1.0 - level))


def quantile_interval(ordered: Ordered, level: float, *, error: float = 1.0 - CONFIDENCE) -> Interval | Refused:
    """Return the two-sided interval of the quantile of ``level`` from values in ascending order."""
    _check_level(level)
    n = len(ordered)
    low, high = order_ranks(n, level, error=error)
    if low < 1 or high > n:
        needed = trials_needed(level, error=error, two_sided=True)
        return Refused(reason=f"{n} trials allow no {1 - error:.3g} interval of the {level:g} quantile", needed=needed)
    return Interval(low=float(ordered[low - 1]), high=float(ordered[high - 1]), confidence=1.0 - error)


def upper_limit(ordered: Ordered, level: float, *, error: float = 1.0 - CONFIDENCE) -> float | Refused:
    """Return a value that exceeds the quantile of ``level`` with probability at least 1 - error."""
    _check_level(level)
    n = len(ordered)
    rank = n + 1 - bisect.bisect_right(range(n), error, key=lambda j: binomial_cdf(j, n, 1.0 - level))
    if rank > n:
        needed = trials_needed(level, error=error, two_sided=False)
        return Refused(reason=f"{n} trials allow no {1 - error:.3g} upper limit of the {level:g} quantile", needed=needed)
    return float(ordered[rank - 1])


def quantile_rank(n: int, level: float) -> int:
    """Return the 1-based rank ceil(n level) of the sample quantile, guarded against the rounding of n * level."""
    return min(n, max(1, math.ceil(n * level - 1e-9)))


def quantile(ordered: Ordered, level: float, *, error: float = 1.0 - CONFIDENCE) -> QuantileEstimate:
    """Return the sample quantile of values in ascending order (inf allowed, NaN not) with its interval."""
    _check_level(level)
    n = len(ordered)
    value = float(ordered[quantile_rank(n, level) - 1]) if n else None
    return QuantileEstimate(
        level=level,
        value=value,
        interval=quantile_interval(ordered, level, error=error),
        band=quantile_band(ordered, level, error=error),
        n_rows=n,
    )


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputError(f"a quantile's level must lie in (0, 1), got {level}; write 0.95 for the 95 % quantile")
