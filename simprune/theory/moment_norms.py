"""Lemma M*: norm bounds from exact Gaussian trace moments, for full matrices, random masks and fixed masks.

LEMMA M* (derived here). X = eta o xi, n x m; xi independent and symmetric with E xi^(2h) <= theta beta^(-h) (2h - 1)!!;
the mask eta independent of xi with P(a set of e entries is in it) <= q^e (independent entries, a uniform k-subset with
q = k / D, or no mask, q = 1), theta q <= 1. Then E ||X||^(2p) <= beta^(-p) S_p with S_p = sum N_p(i, j) (n)_i (m)_j
(theta q)^(i + j - 1), and P(||X|| > b) <= delta for b = min over p and beta of beta^(-1/2) (S_p / delta)^(1 / (2p)).

Proof. Expand E Tr (X X^T)^p over closed walks i1 j1 i2 j2 ...; by symmetry only walks that use every entry an even
number of times count. A walk with i left and j right vertices has (n)_i (m)_j labelings and, being connected, at least
i + j - 1 distinct entries; as theta q <= 1, each term is at most (theta q)^(i+j-1) beta^(-p) times its Gaussian value,
and the Gaussian values sum to N_p(i, j) by definition. Markov's inequality for the trace ends it. The best p and beta are
known beforehand, so the minimum costs nothing.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simprune.theory.laws import MomentLaw, moment_weights
from simprune.theory.wishart_moments import ORDERS, log_cells, log_powers, log_sum_rows, shape_cells

Doubles = npt.NDArray[np.float64]
ROUNDING = 1.0 + 1e-11
"""Covers the rounding of logarithms of size 1e4 divided by 2p."""


@lru_cache(maxsize=4096)
def _log_moments(n: int, m: int, q: float, law: MomentLaw) -> Doubles:
    """Return log min over beta of beta^(-p) S_p, ``[ORDERS]``: the bound of E Tr (X X^T)^p."""
    log_beta, log_weight = moment_weights(law, q)
    sums = log_sum_rows(shape_cells(n, m), log_weight[:, :, None])
    return np.asarray((sums - np.arange(1, ORDERS + 1) * log_beta).min(axis=0))


def moment_bound(n: int, m: int, q: float, law: MomentLaw, *, delta: float, log_factor: Doubles | None = None) -> float:
    """Return b with P(T ||eta o xi|| > b) <= delta for an n x m matrix (Lemma M*).

    ``log_factor[p - 1]`` = log E T^(2p) of an independent factor T >= 0 (the threshold of magnitude pruning); without it
    T = 1. Dimensionless: multiply by the layer's scale.

    >>> from simprune.theory.laws import UNIFORM
    >>> round(moment_bound(512, 512, 1.0, UNIFORM, delta=0.05), 1)
    26.7
    """
    logs = _log_moments(n, m, q, law)
    return _markov(logs if log_factor is None else logs + log_factor, delta)


def profile_bound(n: int, m: int, law: MomentLaw, *, row_sum: float, column_sum: float, delta: float) -> float:
    """Return b with P(||X|| > b) <= delta for entries sqrt(q_ij) xi_ij, q_ij in [0, 1] fixed beforehand (a mask: 0 or 1).

    ``row_sum`` = max_i sum_j q_ij, ``column_sum`` = max_j sum_i q_ij. As Lemma M*, with a spanning tree of each walk
    summed edge by edge: E Tr (X X^T)^p <= beta^(-p) n sum N_p(i, j) column_sum^(i-1) row_sum^j theta^(i+j-1), or
    transposed.

    >>> from simprune.theory.laws import GAUSSIAN
    >>> round(profile_bound(100, 100, GAUSSIAN, row_sum=100.0, column_sum=100.0, delta=0.05), 2)
    21.56
    """
    log_beta, log_weight = moment_weights(law, 1.0)
    cells = log_cells(log_powers(column_sum), log_powers(row_sum))
    sums = log_sum_rows(cells, log_weight[:, :, None]) - np.arange(1, ORDERS + 1) * log_beta
    start = min(math.log(n) - math.log(column_sum), math.log(m) - math.log(row_sum))
    return _markov(sums.min(axis=0) + start, delta)


def _markov(log_moments: Doubles, delta: float) -> float:
    return ROUNDING * math.exp(float(np.min((log_moments - math.log(delta)) / (2.0 * np.arange(1, ORDERS + 1)))))
