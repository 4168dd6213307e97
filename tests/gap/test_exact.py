"""Branch and bound: both sides within the tolerance, around the brute-forced supremum, on every backend."""

import numpy as np
import pytest

from simprune.backends.cpu import CpuBackend
from simprune.backends.reference import ReferenceBackend
from simprune.gap.ascent import Ascent
from simprune.gap.exact import Exact
from simprune.gap.spectral import Spectral
from simprune.model.activations import ACTIVATIONS, Identity, ReLU, Sigmoid, Tanh
from simprune.model.distributions import Gaussian, Uniform
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RULES, BernoulliPruning, MagnitudePruning, RandomPruning
from tests.conformance.cases import SMALL_CNN, columns, point, trained_network
from tests.oracle import Pair, brute_gap, exact_linear_gap

EXACT = (Exact(),)


def rows(backend, case, *, stop, trained=None):
    """The rows of a point, and its trials as pairs of networks."""
    found = columns(backend, case, stop=stop, trained=trained)[0]
    pairs = [Pair.of(backend.rebuild(case, t, trained), case.network.activation) for t in range(stop)]
    return found, pairs


@pytest.mark.slow
@pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)
@pytest.mark.parametrize("widths", [(2, 6, 5, 4), (3, 5, 4), (2, 7, 3)], ids=str)
def test_both_sides_hold_the_brute_forced_supremum_and_are_close(backend, activation, widths):
    case = point(widths, activation=activation, law=Gaussian(K=1.5), rule=RandomPruning(alpha=0.3), estimators=EXACT)
    found, pairs = rows(backend, case, stop=2)
    assert np.all(found["gap_upper"] <= 1.0101 * found["gap_lower"])
    for trial, pair in enumerate(pairs):
        low, high = brute_gap(pair, 200 if widths[0] == 2 else 40)
        assert low <= found["gap_upper"][trial]
        assert found["gap_lower"][trial] <= high * (1.0 + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("activation", [ReLU(), Tanh(), Sigmoid()], ids=lambda a: a.name)
def test_biases_are_carried(backend, activation):
    trained = trained_network((2, 6, 5, 3), bias=0.8)
    case = point(trained.widths, activation=activation, rule=RandomPruning(alpha=0.3), trained=trained, estimators=EXACT)
    found, pairs = rows(backend, case, stop=3, trained=trained)
    assert np.all(found["gap_upper"] <= 1.0101 * found["gap_lower"])
    for trial, pair in enumerate(pairs):
        assert brute_gap(pair, 200)[0] <= found["gap_upper"][trial]


@pytest.mark.parametrize("widths", [(3, 4), (4, 6, 5), (3, 5, 7, 4)], ids=len)
def test_linear_networks_meet_their_largest_singular_value(widths):
    case = point(widths, activation=Identity(), estimators=EXACT)
    found, pairs = rows(CpuBackend(), case, stop=4)
    for trial, pair in enumerate(pairs):
        exact = exact_linear_gap(pair)
        assert exact * (1.0 - 1e-12) <= found["gap_upper"][trial] <= 1.0101 * exact
        assert 0.99 * exact <= found["gap_lower"][trial] <= exact * (1.0 + 1e-12)


@pytest.mark.parametrize("hidden", [1, 2, 3])
def test_few_hidden_units_see_few_directions_of_many_inputs(hidden):
    """The reduced problem against the one that the reader would write: inputs in the span of the first rows."""
    case = point((40, hidden, 6, 5), rule=RandomPruning(alpha=0.2), law=Uniform(K=2.0), estimators=EXACT)
    found, pairs = rows(CpuBackend(), case, stop=2)
    assert np.all(found["gap_upper"] <= 1.0101 * found["gap_lower"])
    for trial, pair in enumerate(pairs):
        span = np.linalg.qr(np.concatenate([pair.target[0], pair.pruned[0]]).T)[0]
        y = np.random.default_rng(trial).normal(size=(span.shape[1], 20_000))
        attained = pair.gap(span @ (y / np.linalg.norm(y, axis=0))).max()
        assert 0.9 * found["gap_lower"][trial] <= attained <= found["gap_upper"][trial]


@pytest.mark.slow
def test_backends_cut_the_same_boxes():
    for widths, activation in (((3, 7, 6, 4), ReLU()), ((3, 7, 6, 4), Tanh()), ((20, 1, 5, 3), ReLU())):
        case = point(widths, activation=activation, rule=BernoulliPruning(alpha=0.2), estimators=EXACT)
        cpu, reference = (columns(b, case, stop=3)[0] for b in (CpuBackend(), ReferenceBackend()))
        for name in ("gap_lower", "gap_upper"):
            np.testing.assert_allclose(cpu[name], reference[name], rtol=2e-2)
            assert np.all(reference["gap_lower"] <= cpu["gap_upper"])
            assert np.all(cpu["gap_lower"] <= reference["gap_upper"])


def test_the_tolerance_and_the_number_of_cells_are_kept():
    case = {"widths": (3, 8, 8, 3), "rule": MagnitudePruning(alpha=0.1)}
    backend = CpuBackend()
    ratios = []
    for estimator in (Exact(tolerance=0.001), Exact(tolerance=0.1), Exact(cells=20)):
        row = columns(backend, point(estimators=(estimator,), **case), stop=6)[0]
        ratios.append(row["gap_upper"] / row["gap_lower"])
    assert np.all(ratios[0] <= 1.00101)
    assert np.all(ratios[1] <= 1.101)
    assert ratios[2].max() > 1.101
    plain = columns(backend, point(estimators=(Ascent(), Spectral()), **case), stop=6)[0]
    assert np.all(row["gap_upper"] <= plain["gap_upper"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_nothing_pruned_means_no_gap(backend, rule):
    row = columns(backend, point((3, 5, 4), rule=rule(pruned_fraction=0.0), estimators=EXACT), stop=2)[0]
    assert np.all(row["gap_upper"] == 0.0)
    assert np.all(row["gap_lower"] == 0.0)


def test_tiny_gaps_are_resolved():
    """A few weights pruned: the gap lies far below the outputs, and the enclosure shrinks with it."""
    case = point((3, 60, 3), rule=MagnitudePruning(alpha=0.7), estimators=EXACT)
    row = columns(CpuBackend(), case, stop=4)[0]
    assert np.all(row["gap_lower"] < 0.1 * row["output_norm"])
    assert np.all(row["gap_upper"] <= 1.0101 * row["gap_lower"])


def test_networks_that_see_too_much_are_refused():
    with pytest.raises(InputError, match="at most 6 inputs or at most 3 units in the first hidden layer, got widths"):
        point((7, 4, 3), estimators=EXACT)
    with pytest.raises(InputError, match="needs dense layers only"):
        Exact().check(NetworkSpec(chain=SMALL_CNN, activation=ReLU(), target=SampledTarget(distribution=Uniform())))
    with pytest.raises(InputError, match=r"tolerance must lie in \[1e-6, 1\], got 0"):
        Exact(tolerance=0.0)
    with pytest.raises(InputError, match="cells must lie in"):
        Exact(cells=0)
