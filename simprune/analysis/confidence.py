"""P(gap <= epsilon) with exact binomial intervals, from both sides of the truth."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from simprune.analysis.bands import share_band
from simprune.analysis.estimates import CONFIDENCE, Interval, Refused
from simprune.analysis.ordered import Ordered


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """``successes`` of ``n_rows`` with the Clopper-Pearson interval of the probability (pointwise).

    ``band`` holds together with those of all other epsilons (simultaneous, wider).
    """

    successes: int
    n_rows: int
    value: float | None
    interval: Interval | Refused
    band: Interval | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class GapProbability:
    """P(gap <= epsilon), bracketed.

    ``optimistic`` counts attained lower values (the gap is at least these, so the true probability is at most this);
    ``pessimistic`` counts certified upper values (the true probability is at least this). ``claim`` compares with
    1 - delta: "holds" if the pessimistic interval lies above, "fails" if the optimistic one lies below, else "open".
    """

    epsilon: float
    optimistic: Proportion
    pessimistic: Proportion
    claim: str


def clopper_pearson(successes: int, n: int, *, error: float = 1.0 - CONFIDENCE) -> Interval | Refused:
    """Return the two-sided interval whose ends p solve P(Bin(n, p) >= s) = error/2 and P(Bin(n, p) <= s) = error/2."""
    if n == 0:
        return Refused(reason="no row to count", needed=1)
    low = 0.0 if successes == 0 else float(special.betaincinv(successes, n - successes + 1, error / 2))
    high = 1.0 if successes == n else float(special.betainccinv(successes + 1, n - successes, error / 2))
    return Interval(low=low, high=high, confidence=1.0 - error)


def share(successes: int, n: int, *, error: float = 1.0 - CONFIDENCE) -> Proportion:
    """Return the share of ``successes`` in ``n`` rows with both intervals."""
    return Proportion(
        successes=successes,
        n_rows=n,
        value=successes / n if n else None,
        interval=clopper_pearson(successes, n, error=error),
        band=share_band(successes, n, error=error),
    )


def proportion(ordered: Ordered, epsilon: float, *, error: float = 1.0 - CONFIDENCE) -> Proportion:
    """Return the share of ascending values that are at most ``epsilon``."""
    return share(int(ordered.searchsorted(epsilon, side="right")), len(ordered), error=error)


def gap_probability(
    lower: Ordered, upper: Ordered, *, epsilon: float, delta: float, error: float = 1.0 - CONFIDENCE
) -> GapProbability:
    """Return both estimates of P(gap <= epsilon) from ascending lower values and ascending certified upper values."""
    optimistic = proportion(lower, epsilon, error=error)
    pessimistic = proportion(upper, epsilon, error=error)
    claim = "open"
    if isinstance(pessimistic.interval, Interval) and pessimistic.interval.low >= 1.0 - delta:
        claim = "holds"
    elif isinstance(optimistic.interval, Interval) and optimistic.interval.high < 1.0 - delta:
        claim = "fails"
    return GapProbability(epsilon=epsilon, optimistic=optimistic, pessimistic=pessimistic, claim=claim)


STEPS = (1.0, 2.0, 5.0)


def chosen_epsilons(medians: list[float], *, most: int = 2) -> tuple[float, ...]:
    """Return up to ``most`` round numbers (1, 2 or 5 times a power of ten) between the least and the largest median.

    >>> chosen_epsilons([0.03, 0.4])
    (0.1, 0.2)
    """
    positive = sorted(m for m in medians if 0.0 < m < float("inf"))
    if not positive:
        return ()
    low, high = positive[0], positive[-1]
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 2)
    grid = [float(f"{step:g}e{power}") for power in powers for step in STEPS]
    inside = [value for value in grid if low <= value <= high]
    if not inside:
        middle = np.log(positive[len(positive) // 2])
        return (min(grid, key=lambda value: abs(np.log(value) - middle)),)
    if len(inside) <= most:
        return tuple(inside)
    return tuple(inside[len(inside) * (j + 1) // (most + 1)] for j in range(most))
