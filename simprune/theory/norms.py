"""A-priori bounds of spectral norms of random matrices with explicit constants, each holding with probability 1 - delta.

Entries are i.i.d. symmetric of unit scale (U[-1, 1], N(0, 1), +-1); masks keep each entry with probability q (a uniform
k-subset with q = k / D, or independent). Multiply by the layer's scale. Statements and proofs: Lemma M* compares even
moments with Gaussian ones term by term; G is convex domination with Gordon's and Davidson and Szarek's inequality.

Proof of M*. Expand E Tr (X X^T)^p over closed walks i1 j1 i2 j2 ...; by symmetry only walks that use every entry an even
number of times count. A walk with i left and j right vertices has (n)_i (m)_j labelings and, being connected, at least
i + j - 1 distinct entries; with E xi^(2h) <= theta beta^(-h) (2h - 1)!! and theta q <= 1 each term is at most
(theta q)^(i+j-1) beta^(-p) times its Gaussian value, and the Gaussian values sum to N_p(i, j) by definition. Markov's
inequality for the trace ends it. Proof of G: E exp(l ||X||) <= E exp(l kappa ||G||) by convex order, Gordon's bound of
E ||G||, and Gaussian concentration.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from simprune.model.distributions import AbstractDistribution, Gaussian, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.theory.wishart_moments import log_coefficients, log_trace_moments

Doubles = npt.NDArray[np.float64]
CONVEX = {Uniform.name: math.sqrt(math.pi / 8.0), Gaussian.name: 1.0, Rademacher.name: math.sqrt(math.pi / 2.0)}
BETAS = {
    Uniform.name: (1, 3, 5, 7, 9, 11, 15, 19, 25, 31, 41, 61, 81, 121),
    Gaussian.name: (1,),
    Rademacher.name: (1, 3, 5, 7, 9, 15, 25, 41, 61, 81, 121),
}
MAX_DEGREE = 400


def check_law(law: AbstractDistribution) -> str:
    """Return the law's name; InputError if no bound with explicit constants is known for it."""
    if law.name not in CONVEX:
        raise InputError(
            f"the a-priori bounds need weights with sub-Gaussian even moments, got {law.name}, whose moments grow faster; "
            f"take one of {', '.join(sorted(CONVEX))}"
        )
    return law.name


def gordon(n: int, m: int, law: str, *, delta: float) -> float:
    """Bound G: kappa (sqrt n + sqrt m + sqrt(2 log(1 / delta))), entries dominated by kappa g in convex order."""
    return CONVEX[law] * (math.sqrt(n) + math.sqrt(m) + math.sqrt(2.0 * math.log(1.0 / delta)))


@lru_cache(maxsize=4096)
def moment_constant(law: str, beta: float) -> float:
    """Return theta(beta): E xi^(2h) <= theta beta^(-h) (2h - 1)!! for all h."""
    if law == Gaussian.name:
        return 1.0
    h = np.arange(1, 400)
    log_double_factorial = gammaln(2 * h + 1) - h * math.log(2.0) - gammaln(h + 1)
    log_moment = -np.log(2.0 * h + 1.0) if law == Uniform.name else np.zeros(len(h))
    return float(np.exp(np.max(log_moment + h * math.log(beta) - log_double_factorial)))


@lru_cache(maxsize=100_000)
def _log_norm_terms(n: int, m: int, q: float, law: str) -> tuple[Doubles, ...]:
    terms = []
    for beta in BETAS[law]:
        weight = moment_constant(law, beta) * q
        if weight <= 1.0 + 1e-12:
            powers = np.arange(1, len(log_coefficients()) + 1)
            terms.append(log_trace_moments(n, m, min(weight, 1.0)) - powers * math.log(beta))
    return tuple(terms)


def moment_bound(n: int, m: int, q: float, law: str, *, delta: float, log_factor: Doubles | None = None) -> float:
    """Bound M*: min over p and beta of (beta^(-p) S_p E T^(2p) / delta)^(1 / (2p)).

    ``log_factor[p - 1]`` = log E T^(2p) of an independent scalar factor T (the threshold of magnitude pruning).
    """
    powers = 2.0 * np.arange(1, len(log_coefficients()) + 1)
    extra = -math.log(delta) if log_factor is None else log_factor - math.log(delta)
    return math.exp(min(float(np.min((terms + extra) / powers)) for terms in _log_norm_terms(n, m, q, law)))


def threshold_log_moments(n_weights: int, n_pruned: int) -> Doubles:
    """Return log E B^(2p), p = 1..P, of B ~ Beta(k + 1, D - k), by sums of logs (no digits lost for D up to 1e18)."""
    steps = np.arange(2 * len(log_coefficients()))
    return np.asarray(np.cumsum(np.log((n_pruned + 1.0 + steps) / (n_weights + 1.0 + steps)))[1::2])


def threshold_chernoff(n_weights: int, n_pruned: int, *, delta: float) -> float:
    """Return t with P(B > t) <= delta for B ~ Beta(k + 1, D - k): (k / D)(1 + x), x = (l + sqrt(l^2 + 2 k l)) / k."""
    log = math.log(1.0 / delta)
    spread = (log + math.sqrt(log * log + 2.0 * n_pruned * log)) / max(n_pruned, 1)
    return min(1.0, max(n_pruned, 1) / n_weights * (1.0 + spread))


def sparse_bound(n: int, m: int, k: int, *, delta: float) -> float:
    """Bound S of a masked matrix with entries in [-1, 1]: sqrt(h1 h2), sqrt(k), or 2 sqrt(h - 1) if the mask is a forest.

    h1, h2: largest numbers of unmasked entries in a row and in a column, by a union bound.
    """
    h1, h2 = _degree(n, m, k, delta=delta / 2.0), _degree(m, n, k, delta=delta / 2.0)
    best = min(math.sqrt(h1 * h2), math.sqrt(k))
    mean = n * m * (k / (n * m)) ** 2
    if mean < 1.0:
        cycle = -0.5 * math.log1p(-mean) - 0.5 * mean
        if cycle < delta / 2.0:
            rest = (delta - cycle) / 2.0
            h = max(_degree(n, m, k, delta=rest), _degree(m, n, k, delta=rest))
            best = min(best, 1.0 if h <= 1 else 2.0 * math.sqrt(h - 1))
    return best


def _degree(n: int, m: int, k: int, *, delta: float) -> int:
    """Return h with P(some of n rows holds more than h entries) <= n C(m, h + 1) q^(h + 1) <= delta."""
    q, most = k / (n * m), min(m, k)
    if q > 0.5:
        return most
    log_delta = math.log(delta)
    for h in range(min(most, MAX_DEGREE)):
        choices = (
            gammaln(m + 1.0) - gammaln(h + 2.0) - gammaln(m - h) if m < 1e7 else (h + 1) * math.log(m) - gammaln(h + 2.0)
        )
        if math.log(n) + choices + (h + 1) * math.log(q) <= log_delta:
            return h
    return most


def dense_norm(n: int, m: int, law: str, *, delta: float) -> float:
    """Return the smaller of G and M* for a full matrix: two fixed numbers, so the minimum holds at level delta."""
    return min(gordon(n, m, law, delta=delta), moment_bound(n, m, 1.0, law, delta=delta))
