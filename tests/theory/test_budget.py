"""Prunable counts are certified, and the allocation beats what is compared with it."""

import itertools

import pytest

from simprune.model.activations import ReLU
from simprune.model.distributions import Laplace, Uniform
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.theory.bounds import bound_of_counts
from simprune.theory.budget import pruning_budget

DELTA = 0.05


def network(*widths, law=None):
    return NetworkSpec(widths=widths, activation=ReLU(), target=SampledTarget(distribution=law or Uniform()))


@pytest.mark.parametrize("rule", [MagnitudePruning(alpha=0.5), RandomPruning(alpha=0.5)], ids=lambda rule: rule.name)
@pytest.mark.parametrize("widths", [(64, 64), (200, 40, 5), (30, 60, 20, 10)])
def test_all_counts_are_certified_and_the_best_are_most(rule, widths):
    net, epsilon = network(*widths), 0.4
    found = pruning_budget(net, rule, epsilon=epsilon, delta=DELTA)
    for counts in (found.best, found.equal_fraction, found.equal_share):
        assert bound_of_counts(net, rule, counts, delta=DELTA).gap <= epsilon
        assert sum(counts) <= sum(found.best)
    for layer, k in enumerate(found.alone):
        only = tuple(k if i == layer else 0 for i in range(net.depth))
        more = tuple(n + 1 if i == layer else 0 for i, n in enumerate(only))
        assert bound_of_counts(net, rule, only, delta=DELTA).gap <= epsilon
        assert k == net.n_weights[layer] or bound_of_counts(net, rule, more, delta=DELTA).gap > epsilon


@pytest.mark.parametrize("rule", [MagnitudePruning(alpha=0.5), RandomPruning(alpha=0.5)], ids=lambda rule: rule.name)
def test_no_allocation_found_by_brute_force_is_much_better(rule):
    net, epsilon = network(14, 9, 4), 1.0
    best = sum(pruning_budget(net, rule, epsilon=epsilon, delta=DELTA).best)
    certified = [
        sum(counts)
        for counts in itertools.product(range(0, 127, 3), range(0, 37, 3))
        if bound_of_counts(net, rule, counts, delta=DELTA).gap <= epsilon
    ]
    assert best >= max(certified) - 3


def test_unequal_layers_profit_most():
    found = pruning_budget(network(784, 256, 256, 10), MagnitudePruning(alpha=0.5), epsilon=0.1, delta=DELTA)
    assert sum(found.best) > 1.6 * sum(found.equal_fraction)
    laplace = pruning_budget(
        network(784, 256, 256, 10, law=Laplace()), MagnitudePruning(alpha=0.5), epsilon=0.1, delta=DELTA
    )
    assert 0 < sum(laplace.best) < sum(found.best)


def test_no_tolerance_no_pruning_and_all_of_it_for_a_huge_one():
    rule, net = MagnitudePruning(alpha=0.5), network(10, 10, 10)
    assert pruning_budget(net, rule, epsilon=0.0, delta=DELTA).best == (0, 0)
    assert pruning_budget(net, rule, epsilon=100.0, delta=DELTA).best == net.n_weights
    with pytest.raises(InputError, match="epsilon must be at least 0"):
        pruning_budget(net, rule, epsilon=-1.0, delta=DELTA)
