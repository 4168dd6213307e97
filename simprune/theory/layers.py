"""A-priori bounds of one layer: ||W*|| and ||Delta||, for every law and rule, at a level of failure each."""

from functools import lru_cache

import numpy as np

from simprune.model.distributions import AbstractDistribution, Gaussian, Uniform
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.laws import GAUSSIAN, UNIFORM, moment_law
from simprune.theory.moment_norms import moment_bound
from simprune.theory.norms import FEW, Candidate, NormBound, best_of, dense_norm, masked_norm
from simprune.theory.order_statistics import beta_chernoff, beta_log_moments, magnitudes
from simprune.theory.sparse_norms import masked_bound, sparse_bound
from simprune.theory.threshold_moments import log_moments_above, truncated_gaussian_std
from simprune.theory.wishart_moments import ORDERS

TAIL = 0.01
"""Share of an event's delta that pays for the largest threshold where T has no upper end."""


def target_norm(shape: tuple[int, int], law: AbstractDistribution, *, delta: float) -> NormBound:
    """Bound ||W*|| of a layer ``(d_out, d_in)``; the same bound holds for the pruned ||W|| (Jensen, derived here).

    E Psi(||M o W*||) <= E Psi(||W*||) for convex increasing Psi, over the signs of the pruned entries, and all bounds
    here are Chernoff or Markov bounds of such Psi.

    >>> from simprune.model.distributions import Uniform
    >>> round(target_norm((256, 256), Uniform(), delta=0.05).value, 3)
    1.179
    """
    return dense_norm(*shape, moment_law(law), delta=delta).times(law.scale(*shape))


def delta_norm(
    shape: tuple[int, int], law: AbstractDistribution, rule: AbstractPruningRule, *, layer: int, delta: float
) -> NormBound:
    """Bound ||Delta|| = ||W* - W|| of layer ``layer`` (from 0) of shape ``(d_out, d_in)``, in the units of the weights.

    >>> from simprune.model import distributions, pruning
    >>> rule = pruning.MagnitudePruning(alpha=0.5)
    >>> round(delta_norm((256, 256), distributions.Uniform(), rule, layer=0, delta=0.05).value, 6)
    0.000604
    """
    return pruned_norm(shape, law, rule, n_pruned=rule.n_pruned_of(shape, layer), delta=delta)


def pruned_norm(
    shape: tuple[int, int], law: AbstractDistribution, rule: AbstractPruningRule, *, n_pruned: int, delta: float
) -> NormBound:
    """Bound ||Delta|| of a layer that loses ``n_pruned`` weights by ``rule`` (its amount is not read), as ``delta_norm``.

    >>> from simprune.model import distributions, pruning
    >>> rule = pruning.RandomPruning(alpha=0.5)
    >>> round(pruned_norm((256, 256), distributions.Uniform(), rule, n_pruned=256, delta=0.05).value, 4)
    0.1476
    """
    known, (n, m), k = moment_law(law), shape, n_pruned
    if k == 0:
        return best_of(Candidate(method="exact", value=0.0, budget="none: nothing is pruned"), delta=delta)
    if k == n * m or (rule.whole_rows and not rule.is_random):
        # Rows chosen by their norms: ||Delta|| <= ||W*||, of which it is a part.
        found = dense_norm(n, m, known, delta=delta)
    elif rule.whole_rows:
        found = dense_norm(k // m, m, known, delta=delta)
    elif rule.is_random:
        found = masked_norm(n, m, k, known, exact_count=rule.exact_count, delta=delta)
    elif law.is_continuous:
        found = _magnitude_norm(n, m, k, type(law), delta=delta)
    else:
        # All magnitudes tie and the lowest flat indices go: the first ceil(k / m) rows, the last of them in part.
        found = dense_norm(-(-k // m), m, known, delta=delta)
    return found.times(law.scale(*shape))


@lru_cache(maxsize=4096)
def _magnitude_norm(n: int, m: int, k: int, law: type[AbstractDistribution], *, delta: float) -> NormBound:
    """Delta = T (1_S o U): T the threshold, S a uniform k-subset, |U| <= 1 with moments below the uniform law's.

    Given |W| < T a unimodal symmetric law has |U| stochastically below the uniform law; a Gaussian given |g| < T has
    even moments below those of a Gaussian of its own variance. All unit scale, all conditionally on T. J: over the signs
    of the kept entries, ||Delta|| is a mean of ||W*||.
    """
    q, size = k / (n * m), n * m
    if law is Uniform:
        factor = beta_log_moments(size, k, count=ORDERS)
        candidates = [Candidate(method="M*", value=moment_bound(n, m, q, UNIFORM, delta=delta, log_factor=factor))]
    else:
        split = f"{TAIL:g} largest threshold, {1 - TAIL:g} Markov"
        tail, rest = TAIL * delta, (1.0 - TAIL) * delta
        factor = log_moments_above(lambda t: t, law, size, k, tail=tail)
        value = moment_bound(n, m, q, UNIFORM, delta=rest, log_factor=factor)
        candidates = [Candidate(method="M*", value=value, budget=split)]
    if law is Gaussian:
        factor = log_moments_above(truncated_gaussian_std, law, size, k, tail=tail)
        value = moment_bound(n, m, q, GAUSSIAN, delta=rest, log_factor=factor)
        candidates.append(Candidate(method="M* (Gaussian)", value=value, budget=split))
    whole = dense_norm(n, m, moment_law(law()), delta=delta)
    candidates.append(Candidate(method=f"J ({whole.method})", value=whole.value, budget=whole.candidates[0].budget))
    share = beta_chernoff(size, k, delta=0.25 * delta)
    if share < 1.0:
        top = float(magnitudes(law, np.array([share]), np.array([1.0 - share]))[0])
        sparse = top * sparse_bound(n, m, k, delta=0.75 * delta)
        candidates.append(Candidate(method="S", value=sparse, budget="1/4 threshold, 3/4 degrees"))
        if q >= FEW:
            masked = top * masked_bound(n, m, q, UNIFORM, delta=0.75 * delta, exact_count=True)
            candidates.append(Candidate(method="C", value=masked, budget="1/4 threshold, 3/4 masked domination"))
    return best_of(*candidates, delta=delta)
