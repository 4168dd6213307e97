"""Rules that prune from one list of candidates prune as each does alone, by a full selection."""

import numpy as np
import pytest

from simprune.backends.compile import kernel
from simprune.backends.cpu import CpuBackend
from simprune.backends.cpu_pruned import JointPlan
from simprune.backends.selection import rank_keys
from simprune.model.distributions import Rademacher, Uniform
from simprune.model.pruning import MagnitudePruning, RandomPruning
from tests.conformance.cases import point, trained_network

WIDTHS = (40, 30, 50, 3)
RULES = (
    MagnitudePruning(alpha=0.6),
    RandomPruning(alpha=0.5),
    MagnitudePruning(alpha=0.35),
    MagnitudePruning(alpha=(0.4, 0.8, 0.5)),  # more than alpha .6 in one layer, fewer in another
    MagnitudePruning(alpha=0.35),
    MagnitudePruning(alpha=0.05),
    RandomPruning(alpha=0.45),
    RandomPruning(pruned_fraction=0.0001),  # no weight at all
)


def masks(pruned, trial):
    """Everything that a rule leaves, layer by layer."""
    found, first = [], 0
    for layer, d_out in enumerate(WIDTHS[1:]):
        rows = pruned.starts[trial, first : first + d_out + 1]
        first += d_out + 1
        spot = slice(int(pruned.room[layer]), int(pruned.room[layer]) + int(rows[-1]))
        found.append((rows.tolist(), pruned.columns[trial, spot].tolist(), pruned.values[trial, spot].tolist()))
    return found, pruned.n_pruned[trial].tolist(), pruned.threshold[trial].tolist()


@pytest.mark.parametrize("source", ["uniform", "all magnitudes equal", "trained, tied"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_rules_prune_together_as_alone(source, precision):
    trained = trained_network(WIDTHS, levels=8) if source.startswith("trained") else None
    law = Rademacher() if "equal" in source else Uniform()
    case = point(WIDTHS, law=law, precision=precision, trained=trained)
    ops = CpuBackend().open(case, np.arange(3), trained)
    together = ops.prune(RULES)
    listed = [JointPlan.of([ops._plan(rule) for rule in rules], case.network) for rules in (RULES[::2], RULES[1::6])]
    assert all(plan is not None and len(plan.places) > 1 for plan in listed)
    for rule, pruned in zip(RULES, together, strict=True):
        (alone,) = ops.prune([rule])
        assert all(masks(pruned, trial) == masks(alone, trial) for trial in range(3))
        assert all((a == b).all() for a, b in zip(turned(pruned), turned(alone), strict=True))


def turned(pruned):
    room, starts, columns, values = pruned.turned
    sizes = [np.arange(room[layer], room[layer] + n) for layer, n in enumerate(pruned.n_pruned[0])]
    used = np.concatenate(sizes).astype(int)
    return starts, columns[:, used], values[:, used]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("distinct", [1, 5, 1000, 1 << 30])
def test_ranks_equal_a_stable_argsort(dtype, distinct):
    keys = np.random.default_rng(distinct).integers(0, distinct, 777, dtype=dtype) * dtype(2)
    if dtype == np.int64:
        keys = keys << 22
    ranks, order, spare = np.empty(777, np.int32), np.empty(777, np.int32), np.empty(777, np.int32)
    kernel(rank_keys.py_func)(keys, ranks, order, spare)
    assert np.array_equal(np.argsort(keys, kind="stable"), np.argsort(ranks))
    assert np.array_equal(np.sort(ranks), np.arange(777))
