"""Order-statistic intervals: exact coverage by binomial sums, the 59 rule, refusals, infinities."""

import math

import numpy as np
import pytest

from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.quantiles import (
    binomial_cdf,
    order_ranks,
    quantile,
    quantile_interval,
    trials_needed,
    upper_limit,
)
from simprune.model.errors import InputError


def exact_cdf(successes: int, n: int, p: float) -> float:
    return sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(successes + 1))


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
def test_binomial_cdf(n: int, p: float) -> None:
    for successes in range(-1, n + 1):
        assert binomial_cdf(successes, n, p) == pytest.approx(exact_cdf(successes, n, p), abs=1e-13)


@pytest.mark.parametrize("n", [6, 20, 59, 73, 200])
@pytest.mark.parametrize("level", [0.05, 0.3, 0.5, 0.95])
def test_ranks_cover_exactly_and_are_the_tightest(n: int, level: float) -> None:
    low, high = order_ranks(n, level, error=0.05)
    below = exact_cdf(low - 1, n, level) if low else 0.0
    above = 1.0 - exact_cdf(high - 1, n, level) if high <= n else 0.0
    assert below <= 0.025
    assert above <= 0.025
    assert exact_cdf(low, n, level) > 0.025
    if high > 1:
        assert 1.0 - exact_cdf(high - 2, n, level) > 0.025


@pytest.mark.parametrize(
    ("level", "error", "two_sided", "needed"),
    [
        (0.95, 0.05, False, 59),
        (0.5, 0.05, True, 6),
        (0.95, 0.05, True, 72),
        (0.05, 0.05, True, 72),
        (0.99, 0.01, False, 459),
    ],
)
def test_needed_trials_are_exactly_where_intervals_begin(level: float, error: float, two_sided: bool, needed: int) -> None:
    assert trials_needed(level, error=error, two_sided=two_sided) == needed
    make = quantile_interval if two_sided else upper_limit
    refused = make(np.arange(needed - 1.0), level, error=error)
    assert isinstance(refused, Refused)
    assert refused.needed == needed
    assert not isinstance(make(np.arange(float(needed)), level, error=error), Refused)


def test_the_59th_trial_gives_the_largest_value_as_limit() -> None:
    assert upper_limit(np.arange(59.0), 0.95) == 58.0


def test_intervals_cover_as_often_as_promised() -> None:
    """2000 samples of 100; coverage is at least 0.95 (here exactly 0.9643); below 0.945 has chance 2e-5."""
    rng = np.random.default_rng(11)
    samples = np.sort(rng.exponential(size=(2000, 100)), axis=1)
    covered = 0
    for sample in samples:
        found = quantile_interval(sample, 0.5)
        assert isinstance(found, Interval)
        covered += found.contains(math.log(2.0))
    assert 0.945 <= covered / 2000 <= 0.985


def test_infinite_values_are_values() -> None:
    ordered = np.array([1.0] * 90 + [np.inf] * 10)
    assert quantile(ordered, 0.5).value == 1.0
    found = quantile(ordered, 0.95)
    assert found.value == math.inf
    assert isinstance(found.interval, Interval)
    assert found.interval.high == math.inf


def test_sample_quantile_is_an_observation() -> None:
    ordered = np.arange(1.0, 101.0)
    assert [quantile(ordered, level).value for level in (0.05, 0.07, 0.5, 0.95, 0.999)] == [5.0, 7.0, 50.0, 95.0, 100.0]


def test_no_rows_no_value() -> None:
    found = quantile(np.empty(0), 0.5)
    assert found.value is None
    assert isinstance(found.interval, Refused)


@pytest.mark.parametrize("level", [0.0, 1.0, 5.0])
def test_levels_outside_the_unit_interval_are_refused(level: float) -> None:
    with pytest.raises(InputError, match=r"level must lie in \(0, 1\)"):
        quantile(np.arange(10.0), level)
