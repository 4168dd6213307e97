"""Budgets: every answer is confirmed by a gap at its count, and refuted or open just above it."""

import numpy as np
import pytest

import simprune
from simprune.bracket.budget import Budget
from simprune.bracket.gap import GapMethod, network_gap
from simprune.bracket.masks import prune_masks, rule_with_counts
from simprune.bracket.text import budget_text
from simprune.model.activations import ReLU
from simprune.model.errors import InputError
from simprune.trained.formats import masked, read_network
from tests.oracle import kept_mask
from tests.trained.networks import cnn, mlp

METHOD = GapMethod(restarts=8, steps=30, seed=3)


def pruned_by(network, rule, counts):
    return masked(network, prune_masks(network, rule_with_counts(rule, counts, network), seed=METHOD.seed))


def above(line, counts):
    """The next larger counts of a line: one more where only one layer is pruned."""
    return tuple(c + 1 if i in line.layers else c for i, c in enumerate(counts))


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "epsilon", "radius"), [("magnitude", 0.8, 1.0), ("random", 1.5, 0.5)])
def test_every_answer_is_confirmed_and_the_next_count_is_not_certified(rule, epsilon, radius):
    network = mlp(seed=1)
    lines = Budget(network=network, epsilon=epsilon, rule=rule, radius=radius, method=METHOD).lines()
    assert [line.name for line in lines] == ["layer 0", "layer 1", "layer 2", "all, equal share", "all, as alone"]
    for line in lines:
        at = network_gap(network, pruned_by(network, rule, line.certified), radius=radius, method=METHOD)
        assert at.upper <= line.upper <= epsilon
        assert at.lower <= epsilon
        if line.attained is not None:
            broken = network_gap(network, pruned_by(network, rule, line.attained), radius=radius, method=METHOD)
            assert broken.lower == line.lower > epsilon
            assert sum(line.attained) > sum(line.certified)
        if len(line.layers) == 1 and line.certified[line.layers[0]] < line.sizes[line.layers[0]]:
            beyond = network_gap(
                network, pruned_by(network, rule, above(line, line.certified)), radius=radius, method=METHOD
            )
            assert beyond.upper > epsilon


@pytest.mark.slow
def test_a_generous_epsilon_allows_everything_and_a_tiny_one_nothing():
    network = mlp()
    generous = Budget(network=network, epsilon=1e6, method=METHOD).lines()
    assert all(line.attained is None for line in generous)
    assert generous[3].certified == tuple(w.size for w in network.weights)
    for line in Budget(network=network, epsilon=1e-9, method=METHOD).lines():
        assert max(line.certified) <= 2  # the smallest weights of the test network are a signed zero and a subnormal
        assert line.upper <= 1e-9
    text = budget_text(generous, epsilon=1e6)
    assert "never" in text
    assert "all, equal share: 35,42,18" in text


@pytest.mark.slow
def test_masks_are_the_exact_smallest_with_ties_by_position_and_nest():
    network = mlp()
    for counts in ([0, 0, 0], [1, 2, 3], [17, 30, 5], [35, 42, 18]):
        masks = prune_masks(network, rule_with_counts("magnitude", counts, network))
        for mask, weight, count in zip(masks, network.weights, counts, strict=True):
            assert np.array_equal(mask, kept_mask(weight, count))
    small, large = (prune_masks(network, rule_with_counts("random", [k, k, k], network), seed=9) for k in (4, 11))
    assert all(not np.any(b & ~a) for a, b in zip(small, large, strict=True))
    other = prune_masks(network, rule_with_counts("random", [4, 4, 4], network), seed=10)
    assert any(not np.array_equal(a, b) for a, b in zip(small, other, strict=True))


@pytest.mark.slow
def test_the_digits_network_has_a_tight_budget():
    network = read_network("data/networks/digits_mlp.npz")
    asked = Budget(network=network, epsilon=0.1, activation=ReLU())
    line = asked.alone(0)
    assert line.attained is not None
    assert 700 < line.certified[0] < line.attained[0] < 1.1 * line.certified[0]


@pytest.mark.slow
def test_convolutional_networks_have_a_budget():
    network = cnn()
    for line in Budget(network=network, epsilon=5.0, method=METHOD).lines():
        at = network_gap(network, pruned_by(network, "magnitude", line.certified), method=METHOD)
        assert at.lower <= at.upper == line.upper <= 5.0
        if line.attained is not None:
            assert network_gap(network, pruned_by(network, "magnitude", line.attained), method=METHOD).lower > 5.0


def test_unfit_questions_are_refused():
    network = mlp()
    with pytest.raises(InputError, match="epsilon must be positive"):
        Budget(network=network, epsilon=0.0)
    with pytest.raises(InputError, match="whose masks are nested"):
        Budget(network=network, epsilon=1.0, rule="bernoulli")
    with pytest.raises(InputError, match="each of the 3 layers"):
        rule_with_counts("magnitude", [1], network)
    with pytest.raises(InputError, match=r"count of layer 1 must lie in 0\.\.42"):
        rule_with_counts("magnitude", [1, 43, 0], network)
    assert simprune.Budget is Budget
