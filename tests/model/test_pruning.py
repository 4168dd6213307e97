"""How many weights go: exact integers, and the errors of rules."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simprune.model.errors import InputError
from simprune.model.pruning import RULES, BernoulliPruning, MagnitudePruning, RandomPruning, n_pruned_for_alpha
from simprune.model.registry import find, from_dict


def exact(n_weights, alpha):
    """Largest k with k^q <= D^p for 1 - alpha = p / q, by bisection over integers."""
    exponent = 1 - Fraction(str(alpha))
    p, q = exponent.numerator, exponent.denominator
    low, high = 0, n_weights
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**q <= n_weights**p else (low, middle - 1)
    return low


@given(n_weights=st.integers(1, 2**33), alpha=st.integers(1, 99).map(lambda i: i / 100))
@settings(max_examples=300, deadline=None)
def test_the_number_for_alpha_is_exact(n_weights, alpha):
    assert n_pruned_for_alpha(n_weights, alpha) == exact(n_weights, alpha)


@given(root=st.integers(1, 2000), p=st.integers(1, 9), shift=st.integers(-1, 1))
@settings(max_examples=300, deadline=None)
def test_the_number_is_exact_at_and_beside_perfect_powers(root, p, shift):
    q = 10 // math.gcd(p, 10)
    n_weights = max(root**q + shift, 1)
    if n_weights <= 2**60:
        assert n_pruned_for_alpha(n_weights, p / 10) == exact(n_weights, p / 10)


def test_the_trap_of_floating_point():
    assert n_pruned_for_alpha(1024, 0.3) == 128
    assert [n_pruned_for_alpha(n, 0.5) for n in (1, 2, 64 * 64, 4097, 4095)] == [1, 1, 64, 64, 63]


@given(n_weights=st.integers(1, 10**6), percent=st.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_a_fraction_is_taken_as_the_decimal_that_it_prints_as(n_weights, percent):
    rule = MagnitudePruning(pruned_fraction=percent / 100)
    assert rule.n_pruned(n_weights, 0) == n_weights * percent // 100


def test_amounts_per_layer():
    rule = RandomPruning(alpha=(0.5, 0.3))
    assert (rule.n_pruned(4096, 0), rule.n_pruned(1024, 1)) == (64, 128)
    rule.check_depth(2)
    with pytest.raises(InputError, match="each of the 3 layers, got 2"):
        rule.check_depth(3)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("amount", "sentence"),
    [
        ({}, "either alpha or pruned_fraction"),
        ({"alpha": 0.5, "pruned_fraction": 0.5}, "either alpha or pruned_fraction"),
        ({"alpha": 0.0}, r"alpha must lie in \(0, 1\), got alpha=0.0"),
        ({"alpha": 1.0}, r"alpha must lie in \(0, 1\), got alpha=1.0"),
        ({"alpha": (0.5, 1.3)}, r"alpha must lie in \(0, 1\), got alpha=1.3"),
        ({"alpha": math.nan}, r"alpha must lie in \(0, 1\), got alpha=nan"),
        ({"pruned_fraction": -0.1}, r"pruned_fraction must lie in \[0, 1\], got -0.1"),
        ({"pruned_fraction": 1.1}, r"pruned_fraction must lie in \[0, 1\], got 1.1"),
        ({"pruned_fraction": math.nan}, r"pruned_fraction must lie in \[0, 1\], got nan"),
    ],
)
def test_a_bad_amount_is_refused_in_a_sentence(rule, amount, sentence):
    with pytest.raises(InputError, match=sentence):
        rule(**amount)


@pytest.mark.parametrize(
    "rule", [MagnitudePruning(alpha=0.5), RandomPruning(pruned_fraction=(0.1, 0.2)), BernoulliPruning(alpha=(0.1, 0.9))]
)
def test_a_rule_comes_back_from_its_json_form(rule):
    assert from_dict(rule.to_dict(), RULES, kind="rule") == rule


def test_an_unknown_rule_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="rule must be a known name, got 'magnitud'; did you mean 'magnitude'"):
        find("magnitud", RULES, kind="rule")
