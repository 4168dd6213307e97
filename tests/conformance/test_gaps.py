"""Lower and upper values of every backend against exact and brute-forced suprema."""

import numpy as np
import pytest

from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.activations import ACTIVATIONS, CentredSigmoid, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.distributions import DISTRIBUTIONS, Gaussian, Uniform
from simprune.model.pruning import RULES, MagnitudePruning, RandomPruning
from simprune.records import Status
from tests.conformance.cases import BOTH, columns, point, trained_network
from tests.oracle import Pair, brute_gap, exact_linear_gap

MANY = (Ascent(restarts=64, steps=30), Spectral())


def pair(backend, case, trial, trained=None):
    return Pair.of(backend.rebuild(case, trial, trained), case.network.activation)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("widths", [(9, 6), (6, 9, 6), (7, 7, 7, 7), (5, 8, 10, 8, 5)], ids=len)
def test_identity_networks_meet_their_largest_singular_value(backend, widths, precision):
    """25 trials for each of 4 depths and 2 precisions: 200 a backend."""
    case = point(widths, activation=Identity(), precision=precision)
    row = columns(backend, case, stop=25)[0]
    for trial in range(25):
        exact = exact_linear_gap(pair(backend, case, trial))
        assert 0.999 * exact <= row["gap_lower"][trial] <= exact * (1.0 + 1e-12)
        assert exact * (1.0 - 1e-12) <= row["gap_upper"][trial] <= 1.01 * exact


@pytest.mark.parametrize("rule", [MagnitudePruning(alpha=0.2), RandomPruning(alpha=0.4)], ids=lambda r: r.name)
@pytest.mark.parametrize("widths", [(2, 5, 3), (2, 6, 5, 4), (3, 5, 3), (3, 4, 5, 3)], ids=str)
def test_relu_networks_meet_the_brute_forced_supremum(backend, widths, rule):
    """Tiny networks have maxima at kinks whose basin is a thousandth of the sphere: only many starts find them."""
    case = point(widths, rule=rule, estimators=(Ascent(restarts=1024, steps=30), Spectral()))
    row = columns(backend, case, stop=5)[0]
    resolution = 1200 if widths[0] == 2 else 90
    for trial in range(5):
        low, high = brute_gap(pair(backend, case, trial), resolution)
        assert 0.99 * low <= row["gap_lower"][trial] <= high
        assert low <= row["gap_upper"][trial]


@pytest.mark.parametrize("activation", [LeakyReLU(slope=0.2), Tanh(), Sigmoid(), CentredSigmoid()], ids=lambda a: a.name)
def test_other_activations_meet_the_brute_forced_supremum(backend, activation):
    case = point((2, 6, 4), activation=activation, law=Gaussian(K=2.0), estimators=MANY)
    row = columns(backend, case, stop=6)[0]
    for trial in range(6):
        low, high = brute_gap(pair(backend, case, trial), 200)
        assert 0.99 * low <= row["gap_lower"][trial] <= high
        assert low <= row["gap_upper"][trial]


@pytest.mark.parametrize("activation", [Identity(), ReLU(), Tanh()], ids=lambda a: a.name)
def test_networks_with_biases_meet_the_brute_forced_supremum(backend, activation):
    trained = trained_network((2, 6, 5, 4), bias=1.0)
    case = point(trained.widths, activation=activation, rule=RandomPruning(alpha=0.3), trained=trained, estimators=MANY)
    row = columns(backend, case, stop=6, trained=trained)[0]
    for trial in range(6):
        low, high = brute_gap(pair(backend, case, trial, trained), 200)
        assert 0.99 * low <= row["gap_lower"][trial] <= high
        assert low <= row["gap_upper"][trial]


@pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)
@pytest.mark.parametrize("biased", [False, True])
def test_nothing_pruned_means_no_gap_at_all(backend, activation, biased):
    trained = trained_network((6, 9, 4)) if biased else None
    case = point((6, 9, 4), activation=activation, rule=MagnitudePruning(pruned_fraction=0.0), trained=trained)
    row = columns(backend, case, stop=3, trained=trained)[0]
    for name in ("gap_lower", "gap_upper", "noise_floor", "delta_norm", "n_pruned", "status"):
        assert np.all(row[name] == 0), name
    assert np.all(row["output_norm"] > 0)


@pytest.mark.parametrize("activation", [Identity(), ReLU(), LeakyReLU()], ids=lambda a: a.name)
def test_scaling_all_weights_scales_the_gap_by_its_power(backend, activation):
    """A power of two keeps every rounding alike; the network's key depends on K, so the target is a file's."""
    for widths in ((6, 8), (6, 8, 5), (6, 8, 5, 7)):
        single, double = (trained_network(widths, bias=0.0) for _ in range(2))
        double = type(single)(weights=tuple(2 * w for w in single.weights), biases=single.biases, origin="doubled")
        rule = MagnitudePruning(alpha=0.3)
        ops = []
        for trained in (single, double):
            case = point(widths, activation=activation, rule=rule, trained=trained)
            batch = backend.open(case, np.array([0], dtype=np.int64), trained)
            ops.append((batch, batch.prune([rule])[0]))
        x = ops[0][0].random_inputs(2, 8).astype(np.float64)[:, :, 0] * 0.5
        (gap, _), (scaled, _) = (batch.evaluate(x.astype(np.float32), pruned) for batch, pruned in ops)
        assert scaled[0] == pytest.approx(2.0 ** (len(widths) - 1) * gap[0], rel=1e-14)
        upper = [Spectral().estimate(batch, pruned, np.arange(1), None).gap[0] for batch, pruned in ops]
        assert upper[1] == pytest.approx(2.0 ** (len(widths) - 1) * upper[0], rel=1e-9)


@pytest.mark.parametrize("law", DISTRIBUTIONS, ids=lambda law: law.name)
@pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)
def test_every_combination_runs_and_is_two_sided(backend, activation, law):
    rules = [rule(alpha=alpha) for rule in RULES for alpha in (0.2, 0.6)]
    estimators = (Ascent(restarts=4, steps=6), Sampled(samples=8), Spectral())
    for precision in ("float32", "float64"):
        cases = [
            point((8, 9, 10), activation=activation, law=law(K=1.5), rule=rule, estimators=estimators, precision=precision)
            for rule in rules
        ]
        for row in columns(backend, *cases, stop=3):
            assert np.all(np.isfinite(row["gap_lower"]))
            assert np.all(row["gap_lower"] <= row["gap_upper"])
            assert np.all(np.isfinite(row["gap_upper"]))
            assert np.all(row["gap_lower"] + row["noise_floor"] <= row["gap_upper"] * (1.0 + 1e-6) + 1e-15)
            assert np.all(row["delta_norm"] <= row["target_norm"] + row["pruned_norm"])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_witness_reproduces_the_gap_within_its_noise(backend, precision):
    trained = trained_network((8, 12, 6))
    for case, source in (
        (point((8, 12, 6), precision=precision), None),
        (point((8, 12, 6), activation=Tanh(), precision=precision, trained=trained), trained),
    ):
        row = columns(backend, case, stop=5, trained=source)[0]
        for trial in range(5):
            witness = row["witness"][trial]
            inside = witness / max(1.0, np.linalg.norm(witness))
            found = pair(backend, case, trial, source).gap(inside[:, None])[0]
            noise = row["noise_floor"][trial]
            # The plain subtraction has an error of its own, of the order of 1e-15 times the outputs.
            assert abs(found - (row["gap_lower"][trial] + noise)) <= noise + 1e-14
            assert 0.0 < noise < 1e-10


def test_backends_agree_on_their_lower_values(other):
    from simprune.backends.reference import ReferenceBackend

    for activation in (Identity(), ReLU(), Tanh()):
        for precision, rtol in (("float32", 1e-4), ("float64", 1e-8)):
            case = point((8, 11, 7), activation=activation, precision=precision)
            found, wanted = (columns(b, case, stop=8)[0] for b in (other, ReferenceBackend()))
            np.testing.assert_allclose(found["output_norm"], wanted["output_norm"], rtol=1e-3)
            close = np.isclose(found["gap_lower"], wanted["gap_lower"], rtol=rtol)
            # An ascent may take another branch at a kink; on average the values must not drift apart.
            assert np.mean(close) >= 0.75, (activation, precision)
            np.testing.assert_allclose(found["gap_upper"], wanted["gap_upper"], rtol=1e-2)


def test_uncertified_trials_say_so(backend):
    case = point((5, 6), law=Uniform(), estimators=(Sampled(samples=4), Spectral(first=2)))
    row = columns(backend, case, stop=5)[0]
    uncertain = np.arange(5) >= 2
    np.testing.assert_array_equal(np.isinf(row["gap_upper"]), uncertain)
    np.testing.assert_array_equal(np.isnan(row["target_norm"][:, 0]), uncertain)
    np.testing.assert_array_equal(row["status"] & Status.NOT_CERTIFIED != 0, uncertain)


def test_everything_pruned_leaves_the_targets_own_norm(backend):
    case = point((5, 6), activation=Identity(), rule=MagnitudePruning(pruned_fraction=1.0), estimators=BOTH)
    row = columns(backend, case, stop=4)[0]
    assert np.all(np.isinf(row["threshold"]))
    assert np.all(row["pruned_norm"] == 0.0)
    for trial in range(4):
        norm = np.linalg.norm(backend.rebuild(case, trial, None).target[0].astype(np.float64), 2)
        assert 0.999 * norm <= row["gap_lower"][trial] <= norm * (1 + 1e-12)
        assert norm <= row["gap_upper"][trial] * (1 + 1e-12)
