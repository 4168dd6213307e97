"""Rules that prune from one list of candidates prune as each does alone, by a full selection."""

import numpy as np
import pytest

from simprune.backends import joint_selection
from simprune.backends.compile import kernel
from simprune.backends.cpu import CpuBackend
from simprune.backends.cpu_pruned import JointPlan
from simprune.model.distributions import Rademacher, Uniform
from simprune.model.pruning import MagnitudePruning, RandomPruning
from tests.conformance.cases import point, trained_network

candidates_of, prune_smallest_of, start_rows = (
    kernel(function.py_func)
    for function in (joint_selection.candidates_of, joint_selection.prune_smallest_of, joint_selection.start_rows)
)
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


@pytest.mark.parametrize(("dtype", "weight"), [(np.int32, np.float32), (np.int64, np.float64)])
@pytest.mark.parametrize("distinct", [1, 5, 40, 1000, 1 << 30])
@pytest.mark.parametrize("size", [1, 32, 777])
def test_the_smallest_are_those_of_a_stable_argsort(dtype, weight, distinct, size):
    rng = np.random.default_rng(distinct)
    near = rng.integers(0, distinct, size, dtype=dtype) * dtype(2)
    if dtype == np.int64:
        near = near << 22
    index, weights = (
        np.sort(rng.choice(3000, size, replace=False)).astype(np.int32),
        rng.standard_normal(3000).astype(weight),
    )
    rows, columns = np.empty((2, size + 32), np.int32)
    entries = (np.empty(size + 32, dtype), rows, columns, np.empty(size + 32, weight))
    candidates_of(index, near, weights, 30, entries)
    order, left = np.argsort(near, kind="stable"), size
    for k in sorted({0, 1, 13, size // 2, size - 1} & set(range(size)), reverse=True):
        line, column = np.empty((2, size + 32), np.int32)
        out, row_start = (line, column, np.empty(size + 32, weight)), np.empty(101, np.int64)
        following = prune_smallest_of(entries, left, k, near.max(), out)
        assert following == -weights[index[order[k]]]
        pruned = np.sort(index[order[:k]])
        assert np.array_equal(line[:k] * 30 + column[:k], pruned)
        assert np.array_equal(out[2][:k], -weights[pruned])
        start_rows(line[:k], row_start)
        assert np.array_equal(row_start, np.searchsorted(pruned, 30 * np.arange(101)))
        entries, left = (entries[0], *out), k
