"""The test of the Beta law: calibrated where the law holds, and it sees a threshold that is one rank off."""

import numpy as np
import pytest
from scipy import stats

from simprune.analysis.thresholds import holm, judged, ks_p_value, ks_statistic, threshold_law, threshold_tests
from simprune.model.distributions import Gaussian, Laplace, Rademacher
from simprune.model.network import FixedTarget, NetworkSpec
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.theory.order_statistics import ThresholdLaw
from tests.analysis.synthetic import make_point, make_table


@pytest.mark.parametrize("n", [1, 2, 17, 400])
def test_statistic_agrees_with_scipy(n: int) -> None:
    u = np.random.default_rng(n).random(n)
    assert ks_statistic(u) == pytest.approx(stats.kstest(u, "uniform").statistic, rel=1e-12)


@pytest.mark.parametrize("n", [10, 100, 1000, 20_000])
@pytest.mark.parametrize("p", [0.5, 0.05, 1e-3, 1e-8])
def test_p_values_are_never_too_small_and_hardly_too_large(n: int, p: float) -> None:
    d = stats.kstwo.isf(p, n)
    assert p * (1 - 1e-9) <= ks_p_value(d, n) <= p * (1.02 if p > 0.1 else 1.006)


def test_extreme_statistics() -> None:
    assert ks_p_value(0.0, 10) == ks_p_value(-0.1, 10) == 1.0
    assert ks_p_value(1.0, 10) < 1e-9


def test_p_values_are_uniform_where_the_law_holds() -> None:
    """600 tests of 100 draws of the law; the share of p <= 0.05 has standard error 0.0089, and 0.014 .. 0.086 is 4 sigma."""
    rng = np.random.default_rng(5)
    law = ThresholdLaw(n_weights=900, n_pruned=60, distribution=Gaussian(), scale=0.1)
    small = sum(ks_p_value(ks_statistic(law.cdf(law.quantile(rng.random(100)))), 100) <= 0.05 for _ in range(600))
    assert 0.014 <= small / 600 <= 0.086


@pytest.mark.parametrize("law", [None, Gaussian(K=2.0), Laplace()])
def test_exact_thresholds_agree_and_wrong_ranks_are_rejected(law: Gaussian | None) -> None:
    """Fixed draws; with 2000 rows a shift of one rank at k = 32 moves the mean by 8 standard errors."""
    point = make_point((32, 32, 32), law=law, rule=MagnitudePruning(alpha=0.5))
    right = threshold_tests(point, make_table(point, 2000)["threshold"], index=4)
    assert [(test.point, test.layer, test.n_rows) for test in right] == [(4, 0, 2000), (4, 1, 2000)]
    assert min(test.p_value for test in right) > 0.01
    wrong = threshold_tests(point, make_table(point, 2000, shift=1)["threshold"], index=4)
    assert max(test.p_value for test in wrong) < 1e-5


def test_sorted_weights_follow_the_law() -> None:
    """Thresholds of real draws, one rank right and one wrong; at level 1e-3 the first fails for 1 of 1000 seeds."""
    rng = np.random.default_rng(2)
    point = make_point((16, 16), rule=MagnitudePruning(alpha=0.5))
    magnitudes = np.sort(rng.random((1500, 256)), axis=1) * 0.25
    k = point.n_pruned[0]
    assert threshold_tests(point, magnitudes[:, [k]], index=0)[0].p_value > 1e-3
    assert threshold_tests(point, magnitudes[:, [k - 1]], index=0)[0].p_value < 1e-6


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (make_point((8, 8), rule=RandomPruning(alpha=0.3)), "do not depend on the weights"),
        (make_point((8, 8), rule=BernoulliPruning(alpha=0.3)), "do not depend on the weights"),
        (make_point((8, 8), law=Rademacher()), "tie"),
        (make_point((8, 8), rule=MagnitudePruning(pruned_fraction=1.0)), "nothing is kept"),
    ],
)
def test_points_without_a_law_are_left_out(point: object, reason: str) -> None:
    assert reason in threshold_law(point, 0)
    assert threshold_tests(point, np.full((50, 1), 0.1), index=0) == ()


def test_trained_networks_have_no_law() -> None:
    sampled = make_point((8, 8))
    network = NetworkSpec(widths=(8, 8), activation=sampled.network.activation, target=FixedTarget(sha256="0" * 64))
    point = type(sampled)(network=network, rule=sampled.rule, estimators=sampled.estimators, seed=1)
    assert "fixed" in threshold_law(point, 0)


def test_holm_equals_its_definition() -> None:
    p_values = np.random.default_rng(8).random(20) ** 3
    adjusted = holm(p_values.tolist())
    ordered = np.argsort(p_values)
    running = np.maximum.accumulate([min(1.0, (20 - i) * p_values[j]) for i, j in enumerate(ordered)])
    np.testing.assert_allclose([adjusted[j] for j in ordered], running)
    assert holm([]) == ()


def test_family_wise_false_alarms_stay_below_the_stated_rate() -> None:
    """400 families of 10 uniform p-values at rate 0.1: more than 64 alarms (4 sigma above 40) would refute Holm."""
    rng = np.random.default_rng(6)
    alarms = sum(min(holm(rng.random(10).tolist())) <= 0.1 for _ in range(400))
    assert 15 <= alarms <= 64


def test_verdicts_use_adjusted_p_values() -> None:
    point = make_point((32, 32))
    tests = [*threshold_tests(point, make_table(point, 500, shift=40)["threshold"], index=0)]
    tests += threshold_tests(point, make_table(point, 500)["threshold"], index=1)
    assert [test.rejected for test in judged(tests, error=0.01)] == [True, False]
