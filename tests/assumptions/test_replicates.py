"""p-values and their correction: known values, exactness, and the family-wise rate of dependent tests."""

import numpy as np
import pytest
from scipy import stats

from simprune.assumptions.replicates import Replicates, judged


def normal(values, *, two_sided=False):
    return Replicates(values=np.atleast_2d(np.asarray(values, dtype=np.float64)), two_sided=two_sided)


def only(layers, kind="a", **keywords):
    return [tests[kind] for tests in judged([{kind: layer} for layer in layers], error=0.05, **keywords)]


def test_the_largest_of_twenty_has_p_one_twentieth():
    (found,) = only([normal([18.5, *range(19)])])
    assert (found.p_value, found.adjusted, found.rejected) == (0.05, 0.05, True)
    assert (found.observed, found.expected, found.ratio) == (18.5, 9.0, 18.5 / 9.0)
    (found,) = only([normal([17.5, *range(19)])])
    assert (found.p_value, found.rejected) == (0.1, False)


def test_small_values_count_where_both_sides_do():
    values = [-5.0, *range(1, 40)]
    assert only([normal(values)])[0].p_value == 1.0
    assert only([normal(values, two_sided=True)])[0].p_value == 1 / 40


def test_variants_count_as_one_test():
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 100))
    second[0] = 50.0
    (found,) = only([normal([first, second])])
    assert found.p_value == 0.01
    assert found.observed == 50.0


def test_rounding_is_no_evidence():
    values = np.ones(100)
    values[0] += 1e-7
    others = [normal(np.random.default_rng(seed).standard_normal(100)) for seed in range(20)]
    found, *_ = only([normal(values), *others])
    assert found.p_value == 0.01
    assert found.adjusted == 1.0


def test_layers_are_corrected_by_their_largest_score_and_kinds_by_their_number():
    rng = np.random.default_rng(2)
    layers = [{kind: normal(rng.standard_normal(200)) for kind in "abc"} for _ in range(4)]
    for tests in judged(layers, error=0.05):
        for test in tests.values():
            assert 3 * test.p_value <= test.adjusted + 1e-12 or test.adjusted == 1.0


def test_layers_may_lack_kinds():
    layers = [{"a": normal([9.0, *range(19)])}, {}]
    assert [list(tests) for tests in judged(layers, error=0.05)] == [["a"], []]


@pytest.mark.slow
@pytest.mark.parametrize("n_layers", [1, 12])
def test_the_family_wise_rate_holds_with_skewed_dependent_kinds(n_layers):
    """Exact bound 0.05 on 800 networks of kinds that share their data; a correct program fails with probability 1e-6."""
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(800):
        data = rng.standard_exponential((n_layers, 100)) ** 2
        layers = [{"a": normal(x), "b": normal(np.sqrt(x), two_sided=True)} for x in data]
        alarms += any(test.rejected for tests in judged(layers, error=0.05) for test in tests.values())
    assert stats.binomtest(alarms, 800, 0.05, alternative="greater").pvalue > 1e-6
    assert alarms > 10
