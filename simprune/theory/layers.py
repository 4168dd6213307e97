"""A-priori bounds of one layer: ||W*|| and ||Delta||, for every law and rule, with the event that each may fail."""

import math

import numpy as np

from simprune.model.distributions import AbstractDistribution, Gaussian, Uniform
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.norms import (
    check_law,
    dense_norm,
    moment_bound,
    sparse_bound,
    threshold_chernoff,
    threshold_log_moments,
)
from simprune.theory.order_statistics import ThresholdLaw


def target_norm(shape: tuple[int, int], law: AbstractDistribution, *, delta: float) -> float:
    """Return A with P(||W*|| > A) <= delta; it bounds ||M o W*|| too (Jensen over the signs of the pruned entries)."""
    return law.scale(*shape) * dense_norm(*shape, check_law(law), delta=delta)


def delta_norm(
    shape: tuple[int, int], law: AbstractDistribution, rule: AbstractPruningRule, *, layer: int, delta: float
) -> float:
    """Return E with P(||Delta|| > E) <= delta for layer ``layer`` of shape ``[d_out, d_in]``."""
    n_weights = shape[0] * shape[1]
    k = rule.n_pruned(n_weights, layer)
    if k == 0:
        return 0.0
    scale = law.scale(*shape)
    if rule.score == "weight" and law.is_continuous and k < n_weights:
        return scale * _magnitude(shape, law, k, delta=delta)
    if not rule.is_random:
        # Ties go to the lowest index: the mask is fixed, and only Jensen's inequality is left.
        return scale * dense_norm(*shape, check_law(law), delta=delta)
    return scale * _masked(shape, check_law(law), k, delta=delta, exact=rule.exact_count)


def _masked(shape: tuple[int, int], name: str, k: int, *, delta: float, exact: bool) -> float:
    n, m = shape
    candidates = [dense_norm(n, m, name, delta=delta), moment_bound(n, m, k / (n * m), name, delta=delta)]
    if name != Gaussian.name and exact:
        candidates.append(sparse_bound(n, m, k, delta=delta))
    return min(candidates)


def _magnitude(shape: tuple[int, int], law: AbstractDistribution, k: int, *, delta: float) -> float:
    """Delta = T * (1_S o U), T the threshold, S a uniform k-subset, U i.i.d. of the law cut at T, all independent."""
    n, m = shape
    q, name = k / (n * m), check_law(law)
    sparse = _threshold(law, n * m, k, delta=0.25 * delta) * sparse_bound(n, m, k, delta=0.75 * delta)
    if isinstance(law, Uniform):
        moments = threshold_log_moments(n * m, k)
        return min(sparse, moment_bound(n, m, q, name, delta=delta, log_factor=moments))
    top = _threshold(law, n * m, k, delta=0.1 * delta)
    cut = top * moment_bound(n, m, q, Uniform.name, delta=0.9 * delta)
    spread = _truncated_std(top) * moment_bound(n, m, q, Gaussian.name, delta=0.9 * delta)
    return min(sparse, cut, spread)


def _threshold(law: AbstractDistribution, n_weights: int, k: int, *, delta: float) -> float:
    if isinstance(law, Uniform) and n_weights >= 1e12:
        return threshold_chernoff(n_weights, k, delta=delta)
    exact = ThresholdLaw(n_weights=n_weights, n_pruned=k, distribution=law, scale=1.0)
    return float(np.asarray(exact.quantile([1.0 - delta]))[0])


def _truncated_std(t: float) -> float:
    density = math.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    inside = math.erf(t / math.sqrt(2.0))
    return math.sqrt(max(1.0 - 2.0 * t * density / inside, 0.0))
