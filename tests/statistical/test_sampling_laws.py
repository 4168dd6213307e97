"""Laws of masks, thresholds, weights and inputs, on every backend.

Every test draws fixed trials and refuses at p < 1e-6: a correct program with another seed fails one of the about 40
checks with probability below 4e-5; with the seeds written here the outcome never changes.
"""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from simprune.model.distributions import DISTRIBUTIONS, Gaussian, Laplace, Uniform
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.rng import Purpose
from tests.conformance.backends import BACKENDS
from tests.conformance.cases import point

FALSE_ALARM = 1e-6
each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
each_precision = pytest.mark.parametrize("precision", ["float32", "float64"])
each_continuous = pytest.mark.parametrize("law", [Uniform(K=1.7), Gaussian(), Laplace()], ids=lambda law: law.name)


def masks(backend, case, n_trials):
    """Masks of the first layer, ``[n_trials, n_weights]``."""
    return np.stack([backend.rebuild(case, t, None).masks[0].ravel() for t in range(n_trials)])


def pruned_batch(backend, case, n_trials):
    ops = backend.open(case, np.arange(n_trials, dtype=np.int64), None)
    return ops.prune([case.rule])[0]


@each_backend
def test_random_masks_are_exactly_k_and_uniform_over_positions(backend):
    n_weights, n_pruned, n_trials = 6 * 8, 12, 1500
    gone = ~masks(backend, point((8, 6), rule=RandomPruning(pruned_fraction=0.25)), n_trials)
    assert np.all(gone.sum(axis=1) == n_pruned)
    # Counts of exact k-subsets have covariance n p (1 - p) D / (D - 1) (I - 11' / D), so this is chi-square(D - 1).
    share = n_pruned / n_weights
    variance = n_trials * share * (1.0 - share) * n_weights / (n_weights - 1)
    statistic = np.sum((gone.sum(axis=0) - n_trials * share) ** 2) / variance
    assert stats.chi2.sf(statistic, n_weights - 1) > FALSE_ALARM
    assert stats.chi2.cdf(statistic, n_weights - 1) > FALSE_ALARM


@each_backend
def test_random_masks_are_uniform_over_subsets(backend):
    n_trials, subsets = 2000, math.comb(6, 3)
    gone = ~masks(backend, point((3, 2), rule=RandomPruning(pruned_fraction=0.5)), n_trials)
    counts = Counter(tuple(np.flatnonzero(row)) for row in gone)
    assert len(counts) == subsets
    assert stats.chisquare(list(counts.values())).pvalue > FALSE_ALARM


@each_backend
@each_precision
def test_bernoulli_counts_are_binomial(backend, precision):
    case = point((30, 20), rule=BernoulliPruning(pruned_fraction=0.3), precision=precision)
    counts = pruned_batch(backend, case, 400).n_pruned[:, 0]
    law = stats.binom(600, 0.3)
    edges = law.ppf(np.arange(1, 8) / 8)
    observed = np.bincount(np.searchsorted(edges, counts), minlength=8)
    expected = np.diff(law.cdf(np.concatenate([[-1], edges, [600]])))
    assert stats.chisquare(observed, len(counts) * expected).pvalue > FALSE_ALARM


@each_backend
@each_precision
@each_continuous
def test_thresholds_follow_their_beta_law(backend, law, precision):
    """The smallest kept of D magnitudes is their (k + 1)-th smallest: its cdf value is Beta(k + 1, D - k)."""
    for widths, alpha in (((16, 16), 0.5), ((12, 20), 0.1)):
        case = point(widths, law=law, rule=MagnitudePruning(alpha=alpha), precision=precision)
        threshold = pruned_batch(backend, case, 250).threshold[:, 0]
        levels = [law.magnitude_cdf(t / law.scale(widths[1], widths[0])) for t in threshold]
        n_weights, n_pruned = case.network.n_weights[0], case.n_pruned[0]
        assert stats.kstest(levels, stats.beta(n_pruned + 1, n_weights - n_pruned).cdf).pvalue > FALSE_ALARM


@each_backend
@pytest.mark.parametrize("law", [law() for law in DISTRIBUTIONS], ids=lambda law: law.name)
def test_weights_follow_their_law(backend, law):
    case = point((40, 50), law=law, seed=11)
    weights = np.stack([backend.rebuild(case, t, None).target[0] for t in range(6)]).astype(np.float64) / law.scale(50, 40)
    n = weights.size
    n_negative = int(np.count_nonzero(weights < 0.0))
    assert stats.binomtest(n_negative, n, 0.5).pvalue > FALSE_ALARM
    if law.is_continuous:
        levels = [law.magnitude_cdf(abs(w)) for w in weights.ravel()]
        assert stats.kstest(levels, "uniform").pvalue > FALSE_ALARM
    else:
        np.testing.assert_allclose(np.abs(weights), 1.0, rtol=1e-7)
    # Signs tell nothing about magnitudes, trials nothing about each other: correlations have variance 1 / n.
    size = np.abs(weights).ravel()
    for other in (np.sign(weights).ravel(), np.roll(weights, 1, axis=0).ravel(), np.roll(weights.ravel(), 1)):
        if np.ptp(size) > 1e-6:
            assert abs(np.corrcoef(size, other)[0, 1]) < 5.0 / math.sqrt(n)


@each_backend
def test_layers_trials_and_purposes_are_uncorrelated(backend):
    case = point((30, 30, 30, 30), rule=RandomPruning(pruned_fraction=0.5))
    first, second = (backend.rebuild(case, t, None) for t in (0, 1))
    columns = [w.ravel() for trial in (first, second) for w in trial.target]
    columns += [m.ravel().astype(float) for trial in (first, second) for m in trial.masks]
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    # 66 pairs, each normal with standard deviation 1 / 30: beyond 6.2 of them with probability 4e-8 in all.
    assert np.abs(correlation).max() < 6.2 / 30.0


@each_backend
def test_inputs_are_isotropic(backend):
    case = point((5, 2))
    ops = backend.open(case, np.arange(20, dtype=np.int64), None)
    x = ops.random_inputs(Purpose.START, 96).astype(np.float64).transpose(1, 0, 2).reshape(5, -1)
    np.testing.assert_allclose(np.linalg.norm(x, axis=0), 1.0, rtol=1e-6)
    n = x.shape[1]
    # A coordinate of a uniform point of the sphere in R^5 has (1 + x_i) / 2 ~ Beta(2, 2).
    for coordinate in x:
        assert stats.kstest((1.0 + coordinate) / 2.0, stats.beta(2, 2).cdf).pvalue > FALSE_ALARM
    covariance = x @ x.T / n
    assert np.abs(covariance - np.eye(5) / 5.0).max() < 6.0 * math.sqrt(2.0 / 35.0 / n)
