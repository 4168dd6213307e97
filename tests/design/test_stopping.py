"""The [stopping] table: every mistake is told, and looks are taken at fixed numbers of trials."""

from itertools import pairwise

import pytest

from simprune.design.stopping import StoppingRule
from simprune.model.errors import InputError
from tests.design.texts import GOOD, mistakes_of, parse

WATCH = '[stopping]\nquantity = "probability"\nepsilon = 0.1\n'


def test_a_table_becomes_a_rule_and_survives_the_resolved_text():
    design = parse(GOOD + WATCH + "first = 20\ngrowth = 2.0\n")
    assert design.stopping == StoppingRule(quantity="probability", epsilon=0.1, first=20, growth=2.0)
    assert parse(design.text).stopping == design.stopping
    assert parse(GOOD).stopping is None
    assert parse(GOOD).fingerprint() == design.fingerprint()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('quantity = "median"', "quantity must be one of probability, quantile, mean, got 'median'"),
        ('quantity = "probability"', "epsilon must be given for the probability"),
        ('quantity = "quantile"\nwidth = 0.1', "level must be given for a quantile"),
        ('quantity = "quantile"\nlevel = 1.5\nwidth = 0.1', "level must lie in (0, 1), got 1.5"),
        ('quantity = "mean"', "width must be given for a mean"),
        ('quantity = "mean"\nwidth = -1.0', "width must be positive, got -1.0"),
        ('quantity = "mean"\nwidth = 0.1\nepsilon = 0.1', "epsilon must be given for the probability"),
        ('quantity = "mean"\nwidth = 0.1\nside = "upper"', "side must be one of attained, certified, got 'upper'"),
        ('quantity = "mean"\nwidth = 0.1\nfirst = 1', "first must be at least 2, got 1"),
        ('quantity = "mean"\nwidth = 0.1\ngrowth = 1.0', "growth must lie in 1.001..1000, got 1.0"),
        ('quantity = "mean"\nwidth = 0.1\nconfidence = 1.0', "confidence must lie in (0, 1), got 1.0"),
        ('quantity = "mean"\nwidth = 0.1\ntotal = 0', "total must be at least 1, got 0"),
        ('quantity = "probability"\nepsilon = 0.0', "epsilon must be positive, got 0.0"),
    ],
)
def test_mistakes_are_told(table, told):
    assert any(told in mistake for mistake in mistakes_of(GOOD + "[stopping]\n" + table))


def test_unknown_keys_are_refused():
    assert any("must be a known key, got 'delta'" in mistake for mistake in mistakes_of(GOOD + WATCH + "delta = 0.1\n"))


@pytest.mark.parametrize(("first", "growth", "trials"), [(2, 1.001, 30), (100, 1.25, 10**7), (5, 1000.0, 6), (9, 2.0, 4)])
def test_looks_rise_to_the_last_trial(first, growth, trials):
    checks = StoppingRule(quantity="mean", width=0.1, first=first, growth=growth).checks(trials)
    assert checks[0] == min(first, trials)
    assert checks[-1] == trials
    assert all(a < b for a, b in pairwise(checks))


def test_rules_are_checked_in_python_as_well():
    with pytest.raises(InputError, match="quantity must be one of"):
        StoppingRule(quantity="variance")
