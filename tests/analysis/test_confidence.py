"""Clopper-Pearson against binomial identities, both sides of P(gap <= epsilon), and the choice of epsilons."""

import numpy as np
import pytest

from simprune.analysis.confidence import chosen_epsilons, clopper_pearson, gap_probability, proportion
from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.quantiles import binomial_cdf


@pytest.mark.parametrize("n", [1, 10, 137])
def test_ends_solve_the_binomial_equations(n: int) -> None:
    for successes in {0, 1, n // 3, n - 1, n}:
        found = clopper_pearson(successes, n, error=0.1)
        assert isinstance(found, Interval)
        if successes > 0:
            assert 1.0 - binomial_cdf(successes - 1, n, found.low) == pytest.approx(0.05, rel=1e-9)
        else:
            assert found.low == 0.0
        if successes < n:
            assert binomial_cdf(successes, n, found.high) == pytest.approx(0.05, rel=1e-9)
        else:
            assert found.high == 1.0


@pytest.mark.parametrize("p", [0.01, 0.3, 0.95])
def test_coverage_is_exact_at_least(p: float) -> None:
    n = 60
    covered = 0.0
    for successes in range(n + 1):
        found = clopper_pearson(successes, n)
        assert isinstance(found, Interval)
        if found.contains(p):
            covered += binomial_cdf(successes, n, p) - binomial_cdf(successes - 1, n, p)
    assert 0.95 <= covered <= 1.0 + 1e-12


def test_all_of_59_trials_prove_95_percent() -> None:
    found = clopper_pearson(59, 59, error=0.1)
    assert isinstance(found, Interval)
    assert found.low == pytest.approx(0.05 ** (1 / 59))


def test_epsilon_itself_counts() -> None:
    assert proportion(np.array([0.1, 0.2, 0.2, 0.3]), 0.2).successes == 3


def test_without_rows_there_is_no_interval() -> None:
    found = proportion(np.empty(0), 0.2)
    assert found.value is None
    assert isinstance(found.interval, Refused)


def test_lower_values_are_optimistic_and_upper_values_pessimistic() -> None:
    lower, upper = np.linspace(0.0, 1.0, 200), np.linspace(0.5, 1.5, 200)
    found = gap_probability(lower, upper, epsilon=0.75, delta=0.05)
    assert found.optimistic.value == pytest.approx(0.75)
    assert found.pessimistic.value == pytest.approx(0.25)
    assert found.claim == "fails"
    assert gap_probability(lower, upper, epsilon=2.0, delta=0.05).claim == "holds"
    assert gap_probability(lower, upper, epsilon=1.0, delta=0.05).claim == "open"
    assert gap_probability(lower, np.empty(0), epsilon=2.0, delta=0.05).claim == "open"


@pytest.mark.parametrize(
    ("medians", "chosen"),
    [
        ([], ()),
        ([0.0], ()),
        ([0.123], (0.1,)),
        ([0.05, 0.05], (0.05,)),
        ([0.9, 2.5], (1.0, 2.0)),
        ([0.01, 10.0], (0.1, 1.0)),
    ],
)
def test_chosen_epsilons_are_round_and_between_the_medians(medians: list[float], chosen: tuple[float, ...]) -> None:
    assert chosen_epsilons(medians) == chosen
