"""Pruning while the weights are drawn gives what pruning of stored keys gives, bit for bit."""

import numpy as np
import pytest

from simprune.backends import cpu_batch
from simprune.backends.cpu import CpuOps
from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.pruning import MagnitudePruning, RandomPruning
from tests.conformance.cases import point

TRIALS = np.array([0, 5, (1 << 33) + 7], dtype=np.int64)
RULES = [MagnitudePruning(alpha=alpha) for alpha in (0.1, 0.5, 0.9)] + [MagnitudePruning(pruned_fraction=0.0)]


def stored(case):
    """What the rules do on weights and keys that were drawn before."""
    ops = CpuOps(case, TRIALS, None)
    assert ops.weights.size
    return ops, ops.prune([case.rule])[0]


def assert_same(ops, pruned, case):
    other, wanted = stored(case)
    assert ops.weights.tobytes() == other.weights.tobytes()
    for name in ("n_pruned", "threshold", "starts", "room"):
        np.testing.assert_array_equal(getattr(pruned, name), getattr(wanted, name), err_msg=name)
    for layer in range(case.network.depth):
        for t in range(len(TRIALS)):
            part = slice(int(wanted.room[layer]), int(wanted.room[layer] + wanted.n_pruned[t, layer]))
            np.testing.assert_array_equal(pruned.columns[t, part], wanted.columns[t, part])
            assert pruned.values[t, part].tobytes() == wanted.values[t, part].tobytes()


@pytest.mark.parametrize("law", [Uniform(), Gaussian(), Laplace()], ids=lambda law: law.name)
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_masks_and_weights_are_those_of_stored_keys(law, rule):
    case = point((37, 70, 33), law=law, rule=rule)
    ops = CpuOps(case, TRIALS, None)
    pruned = ops.prune([rule])[0]
    assert "_sampled" not in vars(ops)
    assert_same(ops, pruned, case)


@pytest.mark.parametrize("law", [Uniform(), Gaussian()], ids=lambda law: law.name)
def test_several_rules_share_one_list_of_keys_that_are_not_stored(law):
    rules = [MagnitudePruning(alpha=alpha) for alpha in (0.5, 0.4, 0.7)] + [RandomPruning(alpha=0.5)]
    case = point((70, 60, 50), law=law)
    ops, before = CpuOps(case, TRIALS, None), CpuOps(case, TRIALS, None)
    assert before.weights.size
    found = ops.prune(rules)
    assert "_sampled" not in vars(ops)
    assert ops.weights.tobytes() == before.weights.tobytes()
    for pruned, wanted in zip(found, before.prune(rules), strict=True):
        for name in ("n_pruned", "threshold", "starts"):
            np.testing.assert_array_equal(getattr(pruned, name), getattr(wanted, name), err_msg=name)
        for t in range(len(TRIALS)):
            for layer in range(2):
                part = slice(int(pruned.room[layer]), int(pruned.room[layer] + pruned.n_pruned[t, layer]))
                np.testing.assert_array_equal(pruned.columns[t, part], wanted.columns[t, part])
    other = CpuOps(case, TRIALS, None)
    other.prune([*rules, MagnitudePruning(alpha=0.01)])
    assert "_sampled" in vars(other)


def test_a_missed_bracket_is_noticed_and_answered(monkeypatch):
    case = point((37, 70, 33), rule=MagnitudePruning(alpha=0.3))
    plan_of = cpu_batch.plan_of

    def beside(*args):
        ranks, brackets = plan_of(*args)
        brackets[0, 1] = brackets[1, 1] - 1
        return ranks, brackets

    monkeypatch.setattr(cpu_batch, "plan_of", beside)
    ops = CpuOps(case, TRIALS, None)
    pruned = ops.prune([case.rule])[0]
    assert "_sampled" in vars(ops)
    monkeypatch.undo()
    assert_same(ops, pruned, case)


@pytest.mark.parametrize(
    "case",
    [
        point((9, 8), rule=MagnitudePruning(pruned_fraction=1.0)),
        point((9, 8), rule=RandomPruning(alpha=0.3)),
        point((9, 8), rule=MagnitudePruning(alpha=0.3), law=Rademacher()),
        point((9, 8), rule=MagnitudePruning(alpha=0.3), precision="float64"),
    ],
    ids=["all", "random", "rademacher", "float64"],
)
def test_what_needs_stored_keys_stores_them(case):
    ops = CpuOps(case, TRIALS, None)
    ops.prune([case.rule])
    assert "_sampled" in vars(ops)
