"""Simultaneous bands of a distribution function and its quantiles: Dvoretzky, Kiefer and Wolfowitz with Massart's constant.

P(sup |F_n - F| > e) <= 2 exp(-2 n e^2) for every n, e and F (Massart, Ann. Probab. 18, 1990): all intervals of one column
hold together with the stated probability, at every level and every epsilon at once.
"""

import math

from simprune.analysis.estimates import CONFIDENCE, Interval, Refused
from simprune.analysis.ordered import Ordered


def band_margin(n: int, *, error: float = 1.0 - CONFIDENCE) -> float:
    """Return e with P(sup |F_n - F| > e) <= error.

    >>> round(band_margin(738), 4)
    0.05
    """
    return math.sqrt(math.log(2.0 / error) / (2.0 * n))


def quantile_band(ordered: Ordered, level: float, *, error: float = 1.0 - CONFIDENCE) -> Interval | Refused:
    """Return [X_(l), X_(u)], l = ceil(n (level - e)), u = ceil(n (level + e)); holds for all levels at once."""
    n = len(ordered)
    margin = band_margin(n, error=error) if n else 1.0
    low, high = math.ceil(n * (level - margin) - 1e-9), math.ceil(n * (level + margin) + 1e-9)
    if low < 1 or high > n:
        needed = _rows_needed(min(level, 1.0 - level), error=error)
        return Refused(reason=f"{n} trials allow no simultaneous interval of the {level:g} quantile", needed=needed)
    return Interval(low=float(ordered[low - 1]), high=float(ordered[high - 1]), confidence=1.0 - error)


def share_band(successes: int, n: int, *, error: float = 1.0 - CONFIDENCE) -> Interval | Refused:
    """Return the interval of P(X <= epsilon) that holds for all epsilons at once, from the count of values <= epsilon."""
    if n == 0:
        return Refused(reason="no row to count", needed=1)
    share, margin = successes / n, band_margin(n, error=error)
    return Interval(low=max(0.0, share - margin), high=min(1.0, share + margin), confidence=1.0 - error)


def _rows_needed(rarest: float, *, error: float) -> int:
    """Return the least n with e < rarest."""
    return math.floor(math.log(2.0 / error) / (2.0 * rarest**2)) + 1
