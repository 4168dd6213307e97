"""Fit statistics against loops and SciPy; the null does not depend on location and scale, and p-values are uniform."""

import math

import numpy as np
import pytest
from scipy import stats

from simprune.assumptions.fit import LAWS, STATISTICS, anderson_darling, fits, gaussian_shares, kolmogorov_smirnov
from simprune.assumptions.replicates import judged

RNG = np.random.default_rng(1)


def p_values(values, *, seed=0, replicates=199):
    (tests,) = judged([fits(values, replicates=replicates, rng=np.random.default_rng(seed))], error=0.05)
    return {kind: test.p_value for kind, test in tests.items()}


def test_statistics_against_their_definitions():
    z = np.sort(RNG.standard_normal(37))
    u, rest = stats.norm.cdf(z), stats.norm.sf(z)
    n = len(z)
    direct = -n - sum((2 * i + 1) * (math.log(u[i]) + math.log(rest[n - 1 - i])) for i in range(n)) / n
    assert anderson_darling((u[None], rest[None]))[0] == pytest.approx(direct, rel=1e-12)
    assert kolmogorov_smirnov((u[None], rest[None]))[0] == pytest.approx(stats.kstest(z, "norm").statistic, rel=1e-12)


def test_a_gaussian_is_fitted_with_its_mean_and_deviation():
    values = np.sort(RNG.standard_normal(50)) * 3.0 + 7.0
    u, rest = gaussian_shares(values[None])
    np.testing.assert_allclose(u[0], stats.norm.cdf(values, values.mean(), values.std()), rtol=1e-12)
    np.testing.assert_allclose(rest[0], stats.norm.sf(values, values.mean(), values.std()), rtol=1e-12)


def test_shift_and_scale_change_nothing():
    values = RNG.standard_normal(100)
    assert p_values(values) == p_values(values * 0.25 - 3.0)


def test_each_law_is_told_from_the_other():
    uniform, gaussian = p_values(RNG.random(1000)), p_values(RNG.standard_normal(1000))
    for statistic in STATISTICS:
        assert uniform[f"uniform {statistic}"] > 0.01
        assert gaussian[f"gaussian {statistic}"] > 0.01
        assert uniform[f"gaussian {statistic}"] == gaussian[f"uniform {statistic}"] == 1 / 200


def test_clipped_and_equal_values_are_no_error():
    clipped = np.clip(RNG.standard_normal(500), -1.0, 1.0)
    assert p_values(clipped)["uniform AD"] == pytest.approx(1 / 200)
    assert p_values(np.repeat([0.0, 1.0], 50))["gaussian AD"] == pytest.approx(1 / 200)


@pytest.mark.parametrize("law", LAWS)
def test_p_values_are_uniform_under_the_law(law):
    """Exact tests: a correct program fails with probability 1e-6 a statistic."""
    draw = {"uniform": RNG.random, "gaussian": RNG.standard_normal}[law]
    found = [p_values(draw(30), seed=i, replicates=99) for i in range(300)]
    for statistic in STATISTICS:
        below = sum(p[f"{law} {statistic}"] <= 0.1 for p in found)
        assert stats.binomtest(below, len(found), 0.1).pvalue > 1e-6
