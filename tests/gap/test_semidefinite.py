"""The semidefinite certificate: above every attained value, below the spectral bound, and never a matter of luck."""

import dataclasses

import numpy as np
import pytest

from simprune.backends.cpu import CpuBackend
from simprune.backends.reference import ReferenceBackend
from simprune.backends.semidefinite import semidefinite_gaps
from simprune.design.block import Block
from simprune.gap.ascent import Ascent
from simprune.gap.semidefinite import Semidefinite, sharpens, slope_bound
from simprune.gap.spectral import Spectral
from simprune.model.activations import ACTIVATIONS, CentredSigmoid, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.distributions import DISTRIBUTIONS, Gaussian
from simprune.model.errors import InputError
from simprune.model.pruning import RULES, MagnitudePruning, RandomPruning
from tests.conformance.cases import columns, point, trained_network
from tests.oracle import Pair, brute_gap, exact_linear_gap

LOWER = Ascent(restarts=16, steps=30)
SHARP, PLAIN = (LOWER, Semidefinite()), (LOWER, Spectral())


def both(backend, widths, *, stop, **kwargs):
    """The upper values of the semidefinite and of the spectral estimator, and the attained ones."""
    trained = kwargs.get("trained")
    sharp, plain = (point(widths, estimators=e, **kwargs) for e in (SHARP, PLAIN))
    rows = columns(backend, sharp, plain, stop=stop, trained=trained)
    return rows[0]["gap_upper"], rows[1]["gap_upper"], rows[0]["gap_lower"] + rows[0]["noise_floor"]


@pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)
@pytest.mark.parametrize("biased", [False, True])
def test_values_lie_between_the_attained_gap_and_the_spectral_bound(backend, activation, biased):
    widths = (7, 11, 9, 5)
    for rule in RULES:
        for law in (None,) if biased else DISTRIBUTIONS:
            trained = trained_network(widths) if biased else None
            kwargs = {"activation": activation, "rule": rule(alpha=0.3), "trained": trained}
            upper, spectral, attained = both(backend, widths, stop=2, law=law(K=1.5) if law else None, **kwargs)
            assert np.all(attained <= upper * (1.0 + 1e-9))
            assert np.all(upper <= spectral)
            if sharpens(point(widths, activation=activation).network, (float(biased),) * 3):
                assert upper.mean() < 0.8 * spectral.mean()
            else:
                np.testing.assert_array_equal(upper, spectral)


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(slope=0.3), Tanh(), CentredSigmoid()], ids=lambda a: a.name)
@pytest.mark.parametrize("widths", [(2, 5, 3), (2, 6, 5, 4), (3, 4, 5, 3)], ids=str)
def test_values_lie_above_the_brute_forced_supremum(backend, activation, widths):
    case = point(widths, activation=activation, law=Gaussian(K=1.5), rule=RandomPruning(alpha=0.3), estimators=SHARP)
    row = columns(backend, case, stop=4)[0]
    for trial in range(4):
        low, _ = brute_gap(Pair.of(backend.rebuild(case, trial, None), activation), 400 if widths[0] == 2 else 60)
        assert low <= row["gap_upper"][trial]


def test_biased_networks_lie_above_the_brute_forced_supremum(backend):
    trained = trained_network((2, 5, 4, 3), bias=1.0)
    case = point(trained.widths, rule=RandomPruning(alpha=0.3), trained=trained, estimators=SHARP)
    row = columns(backend, case, stop=4, trained=trained)[0]
    for trial in range(4):
        low, _ = brute_gap(Pair.of(backend.rebuild(case, trial, trained), ReLU()), 400)
        assert low <= row["gap_upper"][trial]


@pytest.mark.parametrize("widths", [(9, 6), (6, 9, 6), (5, 8, 10, 8, 5)], ids=len)
def test_linear_networks_meet_their_largest_singular_value(backend, widths):
    case = point(widths, activation=Identity(), estimators=SHARP)
    row = columns(backend, case, stop=5)[0]
    for trial in range(5):
        exact = exact_linear_gap(Pair.of(backend.rebuild(case, trial, None), Identity()))
        assert exact * (1.0 - 1e-12) <= row["gap_upper"][trial] <= 1.01 * exact


def test_backends_find_nearly_the_same_values():
    for widths, trained in (((12, 20, 15, 6), None), ((30, 30, 30), None), ((9, 12, 6), trained_network((9, 12, 6)))):
        case = point(widths, estimators=SHARP, trained=trained)
        found, wanted = (
            columns(b, case, stop=3, trained=trained)[0]["gap_upper"] for b in (CpuBackend(), ReferenceBackend())
        )
        np.testing.assert_allclose(found, wanted, rtol=0.05)


@pytest.mark.parametrize(("depth", "most"), [(2, 0.5), (3, 0.32), (4, 0.25)])
def test_the_spectral_bound_is_at_least_halved(depth, most):
    case = {"rule": MagnitudePruning(alpha=0.5)}
    upper, spectral, _ = both(CpuBackend(), (48,) * (depth + 1), stop=3, **case)
    assert np.all(upper <= most * spectral)


def test_scaling_all_layers_by_two_scales_the_value_by_a_power_of_two(backend):
    once = trained_network((10, 12, 11, 8), bias=0.0)
    twice = dataclasses.replace(once, weights=tuple(2.0 * w for w in once.weights))
    values = [
        columns(backend, point(once.widths, trained=t, estimators=SHARP), stop=1, trained=t)[0]["gap_upper"]
        for t in (once, twice)
    ]
    np.testing.assert_allclose(values[1], 8.0 * values[0], rtol=1e-3)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_nothing_or_everything_pruned(backend, fraction):
    case = point((6, 7, 5), rule=MagnitudePruning(pruned_fraction=fraction), estimators=SHARP)
    row = columns(backend, case, stop=3)[0]
    assert np.all(row["gap_lower"] <= row["gap_upper"])
    assert np.all(np.isfinite(row["gap_upper"]))
    if fraction == 0.0:
        assert np.all(row["gap_upper"] == 0.0)


def test_bits_do_not_depend_on_blocks_or_threads():
    trained = trained_network((9, 14, 6))
    for case, source in (
        (point((20, 23, 17, 9), estimators=SHARP), None),
        (point(trained.widths, trained=trained), trained),
    ):
        whole = columns(CpuBackend(), case, stop=7, trained=source)[0]["gap_upper"]
        parts = [(0, 1), (1, 5), (5, 7)]
        blocks = [Block(points=(case,), first=a, stop=b, trained=source) for a, b in parts]
        for backend in (CpuBackend(), CpuBackend(threads=2)):
            joined = np.concatenate([backend.run(block)[0].columns["gap_upper"] for block in blocks])
            assert joined.tobytes() == whole.tobytes()


def test_only_the_first_trials_are_certified(backend):
    case = point((5, 6, 4), estimators=(LOWER, Semidefinite(first=2)))
    row = columns(backend, case, stop=4)[0]
    np.testing.assert_array_equal(np.isinf(row["gap_upper"]), [False, False, True, True])
    everything = columns(backend, point((5, 6, 4), estimators=SHARP), stop=2)[0]
    np.testing.assert_array_equal(row["gap_upper"][:2], everything["gap_upper"])


def test_more_steps_do_not_harm():
    cases = [point((24, 24, 24, 24), estimators=(LOWER, Semidefinite(steps=steps))) for steps in (0, 8, 40)]
    few, some, many = (row["gap_upper"] for row in columns(CpuBackend(), *cases, stop=4))
    assert np.all(some <= few)
    assert np.all(many <= 1.01 * some)


def test_hopeless_numbers_prove_nothing():
    """Infinite weights reach the kernel only by mistake; it must then say so, and end."""
    widths, at, rows = np.array([4, 4, 4]), np.array([0, 16, 32]), np.array([0, 4, 8])
    weights = np.full((1, 32), np.inf, np.float32)
    starts = np.zeros((1, 10), dtype=np.int64)
    entries = (np.zeros(3, np.int64), starts, np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32))
    gaps = np.full(1, np.inf)
    norms, wanted = np.ones((3, 1, 2)), np.ones(1, dtype=bool)
    semidefinite_gaps((widths, at, rows), weights, np.zeros(0, np.float32), entries, norms, wanted, 1.0, 4, gaps)
    assert gaps[0] == np.inf


def test_slopes_are_bounded_by_exact_powers_of_two():
    bounds = {cls.name: slope_bound(point((2, 2), activation=cls()).network) for cls in ACTIVATIONS}
    assert bounds == {"identity": 1, "relu": 1, "leaky_relu": 1, "tanh": 1, "sigmoid": 0.25, "centred_sigmoid": 0.25}


@pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)
def test_activations_called_nondecreasing_are(activation):
    z = np.linspace(-8.0, 8.0, 4001)
    slopes = [activation.derivative(v, activation.parameter) for v in z.tolist()]
    assert activation.nondecreasing == (min(slopes) >= 0.0)


def test_unfit_settings_are_refused():
    with pytest.raises(InputError, match=r"steps must lie in 0\.\.10000, got -1"):
        Semidefinite(steps=-1)
    with pytest.raises(InputError, match="first must be at least 1, got 0"):
        Semidefinite(first=0)


def test_sigmoids_are_left_to_the_spectral_bound(backend):
    upper, spectral, _ = both(backend, (5, 6, 4), stop=2, activation=Sigmoid())
    np.testing.assert_array_equal(upper, spectral)
