"""Confidence sequences: intervals that hold at all sample sizes at once, so that one may stop at any time by looking.

``probability_sequence``: mixture of binomial likelihood ratios over Beta(1/2, 1/2). For the true p the ratio
M_n = B(s + 1/2, n - s + 1/2) / B(1/2, 1/2) / (p^s (1 - p)^(n - s)) is a non-negative martingale with mean 1, so
P(M_n >= 1 / error for some n) <= error (Ville 1939; Robbins 1970), and the set of p with M_n < 1 / error is an interval.

``quantile_sequence``: the number of values at most the level's quantile is a binomial count with p = level, so the ranks
whose ratio stays below 2 / error hold the quantile (Howard & Ramdas, "Sequential estimation of quantiles", Bernoulli 28,
2022); half the error a side keeps it valid with ties, where the count's p lies beside the level.

``mean_sequence``: normal mixture with the estimated variance; exact only as n grows (Waudby-Smith et al., "Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024).
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from simprune.model.errors import InputError

Doubles = npt.NDArray[np.float64]
PRIOR = 0.5
LOG_PRIOR_BETA = float(special.betaln(PRIOR, PRIOR))


def check_error(error: float) -> None:
    """Raise InputError unless ``error`` lies in (0, 1).

    >>> check_error(0.05)
    """
    if not 0.0 < error < 1.0:
        raise InputError(f"error must lie in (0, 1), got {error}; it is the probability that a sequence ever fails")


def log_ratio(successes: npt.ArrayLike, n: int, p: float) -> Doubles:
    """Return log M_n, the mixture's log likelihood ratio against p, for counts of successes among n trials.

    >>> float(log_ratio(0, 0, 0.5))
    0.0
    """
    s = np.asarray(successes, dtype=np.float64)
    mixed = special.betaln(s + PRIOR, n - s + PRIOR) - LOG_PRIOR_BETA
    return np.asarray(mixed - special.xlogy(s, p) - special.xlog1py(n - s, -p))


def probability_sequence(successes: int, n: int, *, error: float) -> tuple[float, float]:
    """Return the interval of p after ``successes`` in n trials; all intervals of one sequence hold w. p. 1 - error.

    >>> low, high = probability_sequence(50, 1000, error=0.05)
    >>> round(low, 3), round(high, 3)
    (0.029, 0.079)
    """
    check_error(error)
    limit, centre = -math.log(error), (successes + PRIOR) / (n + 2.0 * PRIOR)

    def excess(p: float) -> float:
        return float(log_ratio(successes, n, p)) - limit

    low = 0.0 if excess(0.0) < 0.0 else optimize.brentq(excess, 0.0, centre, xtol=1e-14)
    high = 1.0 if excess(1.0) < 0.0 else optimize.brentq(excess, centre, 1.0, xtol=1e-14)
    return max(0.0, low - 1e-13), min(1.0, high + 1e-13)


def quantile_ranks(n: int, level: float, *, error: float) -> tuple[int, int]:
    """Return ranks (low, high): the level's quantile lies in [X_(low), X_(high)], X_(0) = -inf and X_(n + 1) = inf.

    >>> quantile_ranks(1000, 0.5, error=0.05)
    (440, 561)
    """
    check_error(error)
    if not 0.0 < level < 1.0:
        raise InputError(f"level must lie in (0, 1), got {level}; it is the level of a quantile")
    inside = np.flatnonzero(log_ratio(np.arange(n + 1), n, level) < math.log(2.0 / error))
    return int(inside[0]), int(inside[-1]) + 1


def quantile_sequence(ordered: Doubles, level: float, *, error: float) -> tuple[float, float]:
    """Return the interval of a quantile from ascending values ``[n]``, -inf or inf where the ranks end.

    >>> quantile_sequence(np.arange(1.0, 1001.0), 0.5, error=0.05)
    (440.0, 561.0)
    """
    low, high = quantile_ranks(len(ordered), level, error=error)
    return float(ordered[low - 1]) if low else -math.inf, float(ordered[high - 1]) if high <= len(ordered) else math.inf


def mean_sequence(values: Doubles, *, error: float, tuned_to: int = 1000) -> tuple[float, float]:
    """Return the ASYMPTOTIC interval of the mean of values ``[n]``, narrowest near ``tuned_to`` values.

    mean +- std sqrt(2 (n r + 1) / (n^2 r) log(sqrt(n r + 1) / error)), r = (-2 log error + log(1 - 2 log error)) / tuned_to.

    >>> low, high = mean_sequence(np.arange(1000.0), error=0.05)
    >>> round(low), round(high)
    (472, 527)
    """
    check_error(error)
    n = len(values)
    if n < 2:
        return -math.inf, math.inf
    spread = -2.0 * math.log(error)
    r = (spread + math.log1p(spread)) / tuned_to
    mean, std = float(np.mean(values)), float(np.std(values))
    half = std * math.sqrt(2.0 * (n * r + 1.0) / (n * n * r) * math.log(math.sqrt(n * r + 1.0) / error))
    return mean - half, mean + half
