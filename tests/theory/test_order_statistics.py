"""The law of the threshold against binomial sums, closed forms and simulated weights."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import special

from simprune.model.distributions import DISTRIBUTIONS, AbstractDistribution, Gaussian, Laplace, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.theory.order_statistics import NORMAL_ABOVE, ThresholdLaw, beta_cdf, beta_quantile

CONTINUOUS = [law for law in DISTRIBUTIONS if law.is_continuous]


def law_of(n_weights: int, n_pruned: int, law: AbstractDistribution | None = None, *, scale: float = 1.0) -> ThresholdLaw:
    return ThresholdLaw(n_weights=n_weights, n_pruned=n_pruned, distribution=law or Uniform(), scale=scale)


@pytest.mark.parametrize(("n", "k"), [(1, 0), (7, 0), (7, 3), (7, 6), (60, 11)])
@pytest.mark.parametrize("y", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
def test_exceeding_y_means_that_at_most_k_of_n_magnitudes_lie_below_y(n: int, k: int, y: Fraction) -> None:
    at_most_k = sum(math.comb(n, j) * y**j * (1 - y) ** (n - j) for j in range(k + 1))
    assert 1.0 - float(law_of(n, k, scale=3.0).cdf(3.0 * float(y))) == pytest.approx(float(at_most_k), abs=1e-13)


@pytest.mark.parametrize(("n", "k"), [(100, 0), (100, 99), (10**6, 63), (10**18, 10**6), (10**18, 10**12), (10**18, 10**17)])
def test_mean_of_uniform_thresholds_is_k_plus_one_over_n_plus_one(n: int, k: int) -> None:
    assert law_of(n, k, scale=0.25).mean == pytest.approx(0.25 * (k + 1) / (n + 1), rel=1e-9)


@pytest.mark.parametrize(("n", "k"), [(50, 0), (50, 20), (50, 49), (400, 300)])
def test_mean_of_laplace_thresholds_is_a_harmonic_sum(n: int, k: int) -> None:
    exact = sum(Fraction(1, n - i) for i in range(k + 1))
    assert law_of(n, k, Laplace()).mean == pytest.approx(float(exact) / math.sqrt(2.0), rel=1e-9)


@pytest.mark.parametrize("cls", CONTINUOUS)
@pytest.mark.parametrize(("n", "k"), [(1000, 0), (1000, 300), (1000, 999), (10**10, 10**7), (10**18, 10**15)])
def test_cdf_undoes_quantile(cls: type[AbstractDistribution], n: int, k: int) -> None:
    law = law_of(n, k, cls(K=2.0), scale=0.7)
    levels = np.array([1e-6, 0.01, 0.3, 0.5, 0.8, 0.999])
    rounding = 3e-16 * n / math.sqrt(k + 1)
    np.testing.assert_allclose(law.cdf(law.quantile(levels)), levels, rtol=1e-7, atol=1e-9 + rounding)


@pytest.mark.parametrize(("a", "b"), [(1.2e9, 1.2e9), (1.2e9, 1e11)])
def test_cornish_fisher_form_meets_the_incomplete_beta_function(a: float, b: float) -> None:
    assert min(a, b) > NORMAL_ABOVE
    levels = np.array([0.001, 0.2, 0.5, 0.9, 0.9999])
    x, rest = beta_quantile(levels, 1.0 - levels, a=a, b=b)
    np.testing.assert_allclose(special.betainc(a, b, x), levels, atol=3e-8)
    np.testing.assert_allclose(beta_cdf(x, a=a, b=b), levels, atol=3e-8)
    np.testing.assert_allclose(x + rest, 1.0, atol=1e-15)


def test_gaussian_median_threshold_is_the_half_normal_image_of_the_beta_median() -> None:
    share = special.betaincinv(11, 90, 0.5)
    expected = 0.1 * special.ndtri((1.0 + share) / 2.0)
    assert float(law_of(100, 10, Gaussian(), scale=0.1).quantile(0.5)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cls", CONTINUOUS)
def test_mean_agrees_with_sorted_weights(cls: type[AbstractDistribution]) -> None:
    """A z-test at 5 sigma: a false alarm in 1 of 1.7 million seeds."""
    rng = np.random.default_rng(7)
    u = rng.random((4000, 40))
    magnitudes = np.vectorize(cls.magnitude)(u, 1.0 - u)
    observed = np.partition(magnitudes, 9, axis=1)[:, 9]
    error = observed.std() / math.sqrt(len(observed))
    assert abs(observed.mean() - law_of(40, 9, cls()).mean) < 5.0 * error


@pytest.mark.parametrize(("n", "k"), [(10, 0), (10, 9), (1024, 128), (1 << 20, 64), (1 << 33, 64)])
def test_rounding_distance_bounds_the_largest_density_times_half_a_step(n: int, k: int) -> None:
    x = np.linspace(0.0, 1.0, 20001) if n < 10**4 else k / n + np.linspace(-1.0, 8.0, 20001) * math.sqrt(k + 1) / n
    x = np.clip(x, 0.0, 1.0)
    moved = np.abs(beta_cdf(x + 2.0**-32, a=k + 1, b=n - k) - beta_cdf(x, a=k + 1, b=n - k)).max()
    bound = law_of(n, k).rounding_distance("float32")
    assert moved <= bound
    assert bound == 1.0 or bound < 3.0 * moved + 1e-3
    assert law_of(n, k).rounding_distance("float64") < 1e-5


def test_layers_without_a_law_are_refused() -> None:
    with pytest.raises(InputError, match=r"n_pruned must lie in 0..9, got 10; a layer without kept weights"):
        law_of(10, 10)
    with pytest.raises(InputError, match="must be continuous, got rademacher"):
        law_of(10, 3, Rademacher())
