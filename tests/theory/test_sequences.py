"""Confidence sequences hold at all looks together: against exhaustive paths, brute-force inversion, and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from simprune.model.errors import InputError
from simprune.theory.sequences import log_ratio, mean_sequence, probability_sequence, quantile_ranks, quantile_sequence


@pytest.mark.parametrize("p", [0.05, 0.5, 0.93])
def test_the_ratio_is_a_martingale_of_mean_one(p):
    for n in (1, 2, 7, 40):
        s = np.arange(n + 1)
        weights = np.array([math.comb(n, k) * p**k * (1.0 - p) ** (n - k) for k in s])
        assert np.exp(log_ratio(s, n, p)) @ weights == pytest.approx(1.0)
        for k in range(n + 1):
            after = [float(np.exp(log_ratio(k + won, n + 1, p))) for won in (0, 1)]
            assert (1.0 - p) * after[0] + p * after[1] == pytest.approx(float(np.exp(log_ratio(k, n, p))))


@pytest.mark.parametrize(("s", "n"), [(0, 0), (0, 50), (50, 50), (3, 50), (500, 10_000)])
def test_the_interval_is_where_the_ratio_is_small(s, n):
    low, high = probability_sequence(s, n, error=0.05)
    grid = np.linspace(0.0, 1.0, 20_001)
    inside = np.array([float(log_ratio(s, n, p)) < math.log(20.0) for p in grid.tolist()])
    assert low <= grid[inside][0] <= low + 1e-4
    assert high - 1e-4 <= grid[inside][-1] <= high


def test_it_fails_somewhere_along_the_way_no_more_often_than_promised():
    rng, error, paths, length = np.random.default_rng(5), 0.05, 2000, 3000
    for p in (0.05, 0.5):
        wins = np.cumsum(rng.random((paths, length)) < p, axis=1)
        n = np.arange(1, length + 1)
        mixed = np.stack([log_ratio(wins[:, i], int(n[i]), p) for i in range(length)], axis=1)
        failures = int((mixed.max(axis=1) >= math.log(1.0 / error)).sum())
        assert binomtest(failures, paths, error, alternative="greater").pvalue > 1e-4
        # fixed-sample intervals looked at as often would fail far more: the promise is not an empty one
        assert failures > 0


def test_quantiles_hold_at_all_looks_also_with_ties():
    rng, error, paths = np.random.default_rng(6), 0.1, 300
    looks = [10 * round(1.5**i) for i in range(1, 12)]
    for tied in (False, True):
        failures = 0
        for _ in range(paths):
            values = rng.exponential(size=looks[-1])
            values, truth = (np.floor(3.0 * values), 2.0) if tied else (values, math.log(2.0))
            inside = [
                low <= truth <= high
                for n in looks
                for low, high in [quantile_sequence(np.sort(values[:n]), 0.5, error=error)]
            ]
            failures += not all(inside)
        assert binomtest(failures, paths, error, alternative="greater").pvalue > 1e-4


def test_ranks_are_open_where_few_values_say_nothing():
    assert quantile_ranks(3, 0.95, error=0.05)[1] == 4
    assert quantile_sequence(np.array([1.0]), 0.5, error=0.05) == (-math.inf, math.inf)
    low, high = quantile_ranks(100_000, 0.5, error=0.05)
    assert 49_000 < low < 50_000 < high < 51_000


def test_means_hold_at_all_looks():
    rng, error, paths = np.random.default_rng(7), 0.1, 400
    looks = [round(50 * 1.4**i) for i in range(12)]
    failures = 0
    for _ in range(paths):
        values = rng.gamma(3.0, size=looks[-1])
        failures += not all(low <= 3.0 <= high for n in looks for low, high in [mean_sequence(values[:n], error=error)])
    assert binomtest(failures, paths, error, alternative="greater").pvalue > 1e-4
    assert mean_sequence(np.ones(1), error=0.05) == (-math.inf, math.inf)


@pytest.mark.parametrize("error", [0.0, 1.0, -0.1])
def test_errors_outside_of_0_to_1_are_refused(error):
    with pytest.raises(InputError, match="error must lie in"):
        probability_sequence(1, 2, error=error)
    with pytest.raises(InputError, match="level must lie in"):
        quantile_ranks(10, 1.0, error=0.05)
