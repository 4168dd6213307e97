"""Norm bounds against sampled norms: never too small beyond their level, and close where theory.md says so."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.theory.comparison import comparison_curves
from simprune.theory.laws import GAUSSIAN, LAPLACE, LAWS, RADEMACHER, UNIFORM, moment_law
from simprune.theory.layers import delta_norm, target_norm
from simprune.theory.moment_norms import moment_bound, profile_bound
from simprune.theory.norms import coarse_norm, dense_norm, fixed_mask_norm, masked_norm
from simprune.theory.sparse_norms import masked_kappa, sparse_bound
from simprune.theory.threshold_moments import log_moments_above, truncated_gaussian_std

DELTA = 0.05
DRAW = {
    UNIFORM: lambda rng, size: rng.uniform(-1, 1, size),
    GAUSSIAN: lambda rng, size: rng.standard_normal(size),
    LAPLACE: lambda rng, size: rng.laplace(size=size) / math.sqrt(2.0),
    RADEMACHER: lambda rng, size: rng.choice([-1.0, 1.0], size),
}


def norms(matrices):
    return np.linalg.norm(matrices, 2, axis=(1, 2))


def allowed(n):
    return int(stats.binom.isf(1e-6, n, DELTA))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (6, 6), (40, 10)])
def test_dense_bounds_hold_at_their_level(law, shape):
    # 16 tests of up to 2 candidates at 1e-6
    n = 400
    found = norms(DRAW[law](np.random.default_rng(1), (n, *shape)))
    for candidate in dense_norm(*shape, law, delta=DELTA).candidates:
        assert np.sum(found > candidate.value) <= allowed(n)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("k", [1, 10, 60, 300])
def test_masked_bounds_hold_at_their_level(law, k):
    n, shape = 300, (24, 16)
    rng = np.random.default_rng(2)
    ranks = rng.random((n, 384)).argsort(axis=1).argsort(axis=1)
    subset = norms((DRAW[law](rng, (n, 384)) * (ranks < k)).reshape(n, *shape))
    coins = norms(DRAW[law](rng, (n, *shape)) * (rng.random((n, *shape)) < k / 384))
    for sample, exact in ((subset, True), (coins, False)):
        for candidate in masked_norm(*shape, k, law, exact_count=exact, delta=DELTA).candidates:
            assert np.sum(sample > candidate.value) <= allowed(n)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_fixed_masks_hold_at_their_level(law):
    n, rng = 300, np.random.default_rng(3)
    masks = (np.eye(20, dtype=bool), np.arange(400).reshape(20, 20) < 67, rng.random((20, 30)) < 0.2, np.tri(12, dtype=bool))
    for mask in masks:
        found = norms(DRAW[law](rng, (n, *mask.shape)) * mask)
        for candidate in fixed_mask_norm(mask, law, delta=DELTA).candidates:
            assert np.sum(found > candidate.value) <= allowed(n)


def test_fixed_masks_use_what_they_know():
    assert fixed_mask_norm(np.eye(50, dtype=bool), UNIFORM, delta=DELTA).value == 1.0
    assert fixed_mask_norm(np.zeros((5, 5), dtype=bool), UNIFORM, delta=DELTA).value == 0.0
    band = np.abs(np.subtract.outer(np.arange(300), np.arange(300))) <= 20
    found = fixed_mask_norm(band, UNIFORM, delta=DELTA)
    assert found.method == "P"
    assert found.value < 0.6 * dense_norm(300, 300, UNIFORM, delta=DELTA).value
    with pytest.raises(InputError, match=r"got shape \(3,\)"):
        fixed_mask_norm(np.ones(3, dtype=bool), UNIFORM, delta=DELTA)


def test_full_profiles_cost_little_more_than_full_matrices():
    for law in (UNIFORM, GAUSSIAN, LAPLACE):
        profile = profile_bound(200, 200, law, row_sum=200.0, column_sum=200.0, delta=DELTA)
        # powers in place of falling factorials cost a few percent
        assert 1.0 <= profile / moment_bound(200, 200, 1.0, law, delta=DELTA) < 1.06


@pytest.mark.parametrize("law", [UNIFORM, RADEMACHER, GAUSSIAN], ids=lambda law: law.name)
def test_convex_domination_constants(law):
    # E(xi - y)_+ <= E(kappa g - y)_+ at 200 y
    y = np.linspace(0.0, 3.0, 200)
    excess = {
        UNIFORM: np.clip(1.0 - y, 0.0, None) ** 2 / 4.0,
        RADEMACHER: np.clip(1.0 - y, 0.0, None) / 2.0,
        GAUSSIAN: stats.norm.pdf(y) - y * stats.norm.sf(y),
    }[law]
    for q, kappa in ((1.0, law.kappa), *((q, masked_kappa(q, law)) for q in (0.1, 0.5, 0.9) if law.bounded)):
        z = y / kappa
        assert np.all(kappa * (stats.norm.pdf(z) - z * stats.norm.sf(z)) >= q * excess - 1e-12)
    if law.bounded:
        assert masked_kappa(1.0, law) == pytest.approx(law.kappa, rel=0.004)


def test_planned_tightness_of_the_candidates():
    # theory.md 2.5: unit uniform entries, d = 512, delta = 0.05
    full = {c.method: c.value for c in dense_norm(512, 512, UNIFORM, delta=DELTA).candidates}
    assert full == {"M*": pytest.approx(26.7, abs=0.05), "G": pytest.approx(29.9, abs=0.3)}
    sparse = {c.method: c.value for c in masked_norm(512, 512, 512, UNIFORM, exact_count=True, delta=DELTA).candidates}
    assert sparse["M*"] == pytest.approx(2.43, abs=0.01)
    assert sparse["S"] == pytest.approx(7.0, abs=0.01)
    assert coarse_norm(512, 1.0, UNIFORM, delta=DELTA) == pytest.approx(53.3, abs=0.2)


def test_coarse_bounds_lie_above_exact_ones():
    for d in (16, 256, 4096):
        for q in (1.0, 0.1, 0.001):
            for law in (UNIFORM, GAUSSIAN, RADEMACHER):
                assert coarse_norm(d, q, law, delta=DELTA) >= moment_bound(d, d, q, law, delta=DELTA)
    with pytest.raises(InputError, match="sub-Gaussian even moments, got laplace"):
        coarse_norm(16, 1.0, LAPLACE, delta=DELTA)


def test_very_sparse_masks_are_bounded_by_their_degrees():
    assert sparse_bound(1000, 1000, 1, delta=DELTA) == 1.0
    assert sparse_bound(1000, 1000, 30, delta=DELTA) <= 2.0


@pytest.mark.parametrize("law", [Uniform(K=2.0), Gaussian(), Laplace()], ids=lambda law: law.name)
@pytest.mark.parametrize("k", [1, 30, 250, 399])
def test_magnitude_bounds_hold_for_every_candidate(law, k):
    # 12 tests of up to 5 candidates at 1e-6
    n, rng, known = 300, np.random.default_rng(4), moment_law(law)
    weights = law.scale(20, 20) * DRAW[known](rng, (n, 400))
    ranks = np.abs(weights).argsort(axis=1).argsort(axis=1)
    found = norms((weights * (ranks < k)).reshape(n, 20, 20))
    bound = delta_norm((20, 20), law, MagnitudePruning(pruned_fraction=k / 400), layer=0, delta=DELTA)
    for candidate in bound.candidates:
        assert np.sum(found > candidate.value) <= allowed(n)


def test_tied_magnitudes_lose_their_first_rows():
    rule = MagnitudePruning(pruned_fraction=0.25)
    found = delta_norm((8, 8), Rademacher(), rule, layer=0, delta=DELTA)
    assert found.value == pytest.approx(dense_norm(2, 8, RADEMACHER, delta=DELTA).value / math.sqrt(8.0))
    everything = delta_norm((8, 8), Rademacher(), MagnitudePruning(pruned_fraction=1.0), layer=0, delta=DELTA)
    assert everything.value == target_norm((8, 8), Rademacher(), delta=DELTA).value


def test_bernoulli_masks_have_no_count_to_use():
    methods = {c.method for c in delta_norm((8, 8), Uniform(), BernoulliPruning(alpha=0.5), layer=0, delta=DELTA).candidates}
    assert "S" not in methods
    assert "S" in {
        c.method for c in delta_norm((8, 8), Uniform(), RandomPruning(alpha=0.5), layer=0, delta=DELTA).candidates
    }


@pytest.mark.parametrize(("size", "k"), [(400, 1), (400, 60), (10**6, 1000), (10**14, 10**10)])
def test_threshold_moments_from_above_are_near_the_exact_ones(size, k):
    from simprune.theory.order_statistics import beta_log_moments

    exact = beta_log_moments(size, k, count=64)
    above = log_moments_above(lambda t: t, Uniform, size, k, tail=1e-9)
    # the part above the 1 - 1e-9 quantile is left out, so only low orders need lie above
    assert np.all(above[:3] >= exact[:3])
    assert np.all((above - exact)[:10] / (2.0 * np.arange(1, 11)) < 0.03)


def test_truncated_gaussian_spread():
    for t in (1e-4, 0.009, 0.011, 0.5, 2.0, 6.0):
        mass = integrate.quad(lambda x: math.exp(-0.5 * x * x), 0.0, t, epsabs=0, epsrel=1e-13)[0]
        square = integrate.quad(lambda x: x * x * math.exp(-0.5 * x * x), 0.0, t, epsabs=0, epsrel=1e-13)[0]
        assert truncated_gaussian_std(np.array([t]))[0] == pytest.approx(math.sqrt(square / mass), rel=1e-10)


def test_comparison_curves_are_labelled_and_of_the_right_order():
    for law in (Uniform(), Gaussian(), Laplace(), Rademacher()):
        found = norms(DRAW[moment_law(law)](np.random.default_rng(6), (5, 100, 100))).mean()
        for curve in comparison_curves(100, 100, 1.0, law):
            assert 0.5 < curve.value / found < 10.0
            assert "constant" in curve.status


def test_unknown_laws_are_refused():
    class Other(Gaussian):
        name = "other"

    with pytest.raises(InputError, match="got other; take one of uniform"):
        moment_law(Other())
