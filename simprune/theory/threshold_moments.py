"""Even moments of functions of the magnitude threshold, from above: the factor of Lemma M* for laws that are not uniform.

Given the threshold T, the pruned set is a uniform k-subset S independent of T, and the pruned values are independent
with the law of W given |W| < T: Delta = 1_S o U(T). (The (k+1)-th smallest magnitude, not the k-th: given the k-th, one
entry would sit exactly at it.) Derived here from the order statistics of independent weights.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from simprune.model.distributions import AbstractDistribution
from simprune.theory.order_statistics import beta_chernoff, beta_survival, magnitudes
from simprune.theory.wishart_moments import ORDERS

Doubles = npt.NDArray[np.float64]
CELLS = 512


@lru_cache(maxsize=1024)
def threshold_grid(law: type[AbstractDistribution], n_weights: int, n_pruned: int, tail: float) -> tuple[Doubles, Doubles]:
    """Return thresholds t_0 < ... < t_max at scale 1 with P(T > t_max) <= tail, and P(T > t_j) for all but the last.

    >>> from simprune.model.distributions import Uniform
    >>> thresholds, above = threshold_grid(Uniform, 4096, 64, 0.01)
    >>> thresholds.shape, above.shape, round(float(thresholds[-1]), 4)
    ((512,), (511,), 0.0228)
    """
    highest = min(beta_chernoff(n_weights, n_pruned, delta=tail), 1.0 - tail / n_weights)
    lowest = min((n_pruned + 1.0) / (n_weights + 1.0) * max(1e-3, 1.0 - 8.0 / math.sqrt(n_pruned)), 0.999 * highest)
    shares = np.geomspace(lowest, highest, CELLS)
    return magnitudes(law, shares, 1.0 - shares), beta_survival(shares[:-1], n_weights=n_weights, n_pruned=n_pruned)


def log_moments_above(
    size: Callable[[Doubles], Doubles], law: type[AbstractDistribution], n_weights: int, n_pruned: int, *, tail: float
) -> Doubles:
    """Return upper bounds of log E[size(T)^(2p); T <= t_max], p = 1..ORDERS, for a non-decreasing ``size`` at scale 1.

    With f = size^(2p): E f(T) <= f(t_0) + sum of (f(t_(j+1)) - f(t_j)) P(T > t_j).

    >>> from simprune.model.distributions import Gaussian
    >>> logs = log_moments_above(lambda t: t, Gaussian, 4096, 64, tail=0.01)
    >>> logs.shape, round(float(np.exp(logs[0] / 2.0)), 4)
    ((64,), 0.0202)
    """
    values, above = threshold_grid(law, n_weights, n_pruned, tail)
    logs = 2.0 * np.arange(1, ORDERS + 1)[:, None] * np.log(size(values))[None, :]
    top = logs[:, -1]
    powers = np.exp(logs - top[:, None])
    return np.asarray(top + np.log(powers[:, 0] + (np.diff(powers, axis=1) * above).sum(axis=1)))


def truncated_gaussian_std(t: Doubles) -> Doubles:
    """Return the standard deviation of N(0, 1) given |g| < t: sqrt(1 - 2 t phi(t) / (2 Phi(t) - 1)), increasing in t.

    >>> truncated_gaussian_std(np.array([1e-3, 40.0])).round(9).tolist()
    [0.00057735, 1.0]
    """
    small = t < 0.01
    density = np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    inside = np.where(small, 1.0, erf(t / math.sqrt(2.0)))
    variance = 1.0 - 2.0 * t * density / inside
    series = t * t / 3.0 * (1.0 - t * t * (2.0 / 15.0) + t**4 * (2.0 / 315.0))
    return np.asarray(np.sqrt(np.where(small, series, variance)))
