"""What the theory promises beside what rows show: the ledger multiplies up, counts are counts, constants are fitted ones."""

import dataclasses
import math

import numpy as np
import pytest

from simprune.analysis import render, summarize, to_json
from simprune.analysis.estimates import Refused
from simprune.analysis.promises import PointPromise
from simprune.model.activations import Identity, Tanh
from simprune.model.distributions import Gaussian, Laplace, Rademacher
from simprune.model.network import FixedTarget, NetworkSpec
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.records import TrialTable
from simprune.theory.bounds import apriori_bound, network_bound
from simprune.theory.linear_twin import product_looseness
from simprune.theory.minimal_width import minimal_network_width
from tests.analysis.synthetic import SyntheticResults, make_point, make_table

RULE = MagnitudePruning(alpha=0.3)


def promises_of(*tables, delta=0.05, **of):
    found = summarize(SyntheticResults(tables=tables, trials=len(tables[0]["trial"]), delta=delta, **of))
    return [point.promise for point in found.points]


def test_the_ledger_multiplies_up_to_bound_over_attained():
    for law in (None, Gaussian(), Laplace(), Rademacher()):
        (told,) = promises_of(make_table(make_point((16, 16, 16), law=law), 100))
        ledger = told.ledger
        whole = ledger.activation * ledger.product * ledger.norms * ledger.union
        assert whole == pytest.approx(told.bound / told.attained.value)
        assert ledger.union > 1.0


def test_the_product_is_the_telescoped_product_of_the_rows_own_norms():
    table = make_table(make_point((16, 24, 16)), 60)
    (told,) = promises_of(table)
    rows = zip(*(table[name] for name in ("target_norm", "pruned_norm", "delta_norm")), strict=True)
    network = table.point.network
    products = sorted(network_bound(network, *(tuple(norms) for norms in row)) for row in rows)
    assert told.product.value == pytest.approx(products[math.ceil(60 * 0.95) - 1])


def test_rows_above_the_bound_are_counted_on_both_sides():
    point = make_point((16, 16, 16))
    bound = apriori_bound(point.network, point.rule, delta=0.05).gap
    n = 40
    table = make_table(point, n)
    columns = {**table.columns, "gap_lower": np.full(n, 0.5 * bound), "gap_upper": np.full(n, 0.9 * bound)}
    columns["gap_upper"][:7] = 1.1 * bound
    columns["gap_lower"][:2] = 1.05 * bound
    (told,) = promises_of(TrialTable(point=point, columns=columns))
    assert (told.exceeded.successes, told.exceeded.n_rows) == (7, n)
    assert (told.exceeded_surely.successes, told.exceeded_surely.n_rows) == (2, n)
    assert told.exceeded.interval.low < 7 / n < told.exceeded.interval.high


def test_widths_are_those_of_the_minimal_width_scan():
    tables = [make_table(make_point(widths), 60) for widths in ((16, 16, 16), (32, 32, 32), (10, 16, 5), (10, 32, 5))]
    for told, table in zip(promises_of(*tables, epsilons=(0.1, 0.0)), tables, strict=True):
        network = table.point.network
        fixed = network.widths[0] == 10
        wanted = minimal_network_width(network, RULE, epsilon=0.1, delta=0.05, fixed_ends=fixed)
        assert [asked.minimal.width for asked in told.widths] == [wanted.width]


def test_trained_networks_get_no_promise():
    network = NetworkSpec(widths=(4, 4), activation=Identity(), target=FixedTarget(sha256="a" * 64))
    point = dataclasses.replace(make_point((4, 4)), network=network)
    (told,) = promises_of(make_table(point, 20))
    assert isinstance(told, Refused)


def test_uncertified_rows_leave_the_factors_open_that_need_certificates():
    (told,) = promises_of(make_table(make_point((16, 16, 16)), 60, certified=0))
    assert told.certified is None
    assert told.product is None
    assert told.ledger.norms is None
    assert told.ledger.activation is None
    assert told.ledger.union > 1.0
    assert told.exceeded.n_rows == 0


def test_the_fitted_constant_is_the_largest_scaled_quantile_and_labelled():
    tables = [make_table(make_point((d,) * 3), 400) for d in (16, 32, 64)]
    results = SyntheticResults(tables=tuple(tables), trials=400, delta=0.05)
    (fitted,) = summarize(results).constants
    assert fitted.widths == (16, 32, 64)
    lower = max(np.sort(t["gap_lower"])[379] * d**0.3 for t, d in zip(tables, (16, 32, 64), strict=True))
    assert fitted.lower == pytest.approx(lower)
    assert fitted.upper == pytest.approx(2.5 * lower)
    text = render(summarize(results))
    assert "Constant C2 of Theorem 1, fitted" in text
    assert "FITTED to these rows; proves nothing" in text
    assert to_json(summarize(results))["constants"][0]["lower"] == fitted.lower


def test_no_constant_is_fitted_where_theorem_1_says_nothing():
    for rule, law in ((RandomPruning(alpha=0.3), None), (RULE, Gaussian()), (MagnitudePruning(pruned_fraction=0.1), None)):
        tables = [make_table(make_point((d,) * 3, rule=rule, law=law), 100) for d in (16, 32)]
        found = summarize(SyntheticResults(tables=tuple(tables), trials=100))
        assert found.constants == ()
        assert "Constant C2" not in render(found)


def test_the_report_shows_both_tables_and_says_why_there_are_none():
    tables = [make_table(make_point((16, 16, 16), rule=rule), 60) for rule in (RULE, BernoulliPruning(alpha=0.3))]
    text = render(summarize(SyntheticResults(tables=tuple(tables), trials=60, epsilons=(0.1,))))
    assert "8. What the theory promises" in text
    assert "Looseness ledger" in text
    assert "d*(0.1)" in text


@pytest.mark.parametrize("rule", [RULE, RandomPruning(alpha=0.3), BernoulliPruning(alpha=0.3)], ids=lambda r: r.name)
def test_one_layer_loses_nothing_to_the_product_and_more_layers_lose_more(rule):
    def network(depth):
        return make_point((24,) * (depth + 1), activation=Tanh(), rule=rule).network

    assert product_looseness(network(1), rule) == pytest.approx(1.0)
    losses = [product_looseness(network(depth), rule) for depth in (1, 2, 3, 4)]
    assert losses == sorted(losses)
    assert losses[1] > 1.5
    assert product_looseness(network(2), MagnitudePruning(pruned_fraction=0.0)) is None
    assert product_looseness(make_point((4, 65537)).network, rule) is None


def test_the_loss_of_products_agrees_with_singular_values_of_sampled_networks():
    """An obvious twin: NumPy's own uniform weights, a partition for the mask, singular values of every product."""
    rng, d, ratios = np.random.default_rng(3), 24, []
    k = RULE.n_pruned(d * d, 0)
    network = make_point((d, d, d), activation=Identity()).network
    for _ in range(60):
        target = [rng.uniform(-1.0, 1.0, (d, d)) / math.sqrt(d) for _ in range(2)]
        kept = [np.where(np.abs(w) > np.partition(np.abs(w).ravel(), k - 1)[k - 1], w, 0.0) for w in target]
        moved = [w - v for w, v in zip(target, kept, strict=True)]
        norms = [tuple(float(np.linalg.norm(w, 2)) for w in layers) for layers in (target, kept, moved)]
        plain = network_bound(network, *norms)
        ratios.append(plain / np.linalg.norm(target[1] @ target[0] - kept[1] @ kept[0], 2))
    mean, error = np.mean(ratios), np.std(ratios)
    assert abs(product_looseness(network, RULE) - mean) < 5.0 * error / math.sqrt(3.0)


def test_a_promise_is_a_plain_value():
    (told,) = promises_of(make_table(make_point((16, 16)), 60))
    assert isinstance(told, PointPromise)
    assert told == promises_of(make_table(make_point((16, 16)), 60))[0]
