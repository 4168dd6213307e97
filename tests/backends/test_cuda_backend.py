"""The CUDA backend run whole, its kernels' PTX on the interpreter: integers equal to the CPU's, floats to rounding."""

import pickle

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from simprune.backends.cpu import CpuBackend
from simprune.backends.cuda import CudaBackend, bytes_per_trial
from simprune.backends.cuda_gpu import gpu_device
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.activations import CentredSigmoid, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.model.pruning import (
    BernoulliPruning,
    FilterMagnitudePruning,
    FilterRandomPruning,
    MagnitudePruning,
    RandomPruning,
)
from simprune.rng import Purpose
from tests.backends.interpreted import InterpretedDevice
from tests.conformance import test_gaps as gaps
from tests.conformance import test_ops as operations
from tests.conformance import test_sampling as sampling
from tests.conformance.cases import columns, point, trained_network

DEVICE = InterpretedDevice()
CUDA, CPU = CudaBackend(device=DEVICE), CpuBackend()
ALL = (Ascent(restarts=4, steps=1, keep_witness=True), Sampled(samples=9), Spectral())
WIDTHS = (7, 33, 40, 5)
# Weights differ by 1e-6 or 1e-13 relative; three layers of at most 40 terms keep attained gaps within 100 times that,
# unless an ascent takes another branch at a kink, which would show as a far larger difference.
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
INTEGERS = ("trial", "n_pruned", "status")


def agree(case, *, stop, trained=None):
    found, wanted = (columns(b, case, stop=stop, trained=trained)[0] for b in (CUDA, CPU))
    for name in INTEGERS:
        np.testing.assert_array_equal(found[name], wanted[name])
    for name in ("gap_lower", "output_norm", "threshold", "witness"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=TOLERANCE[case.precision], atol=1e-4, err_msg=name)
    np.testing.assert_allclose(found["gap_lower"], wanted["gap_lower"], rtol=100 * TOLERANCE[case.precision])
    for name in ("gap_upper", "target_norm", "pruned_norm", "delta_norm"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, err_msg=name)
    assert np.all(found["gap_lower"] <= found["gap_upper"])
    np.testing.assert_array_less(found["noise_floor"], 20.0 * wanted["noise_floor"])
    return found


def same_masks(case, trials, trained=None):
    for trial in trials:
        found, wanted = (b.rebuild(case, trial, trained) for b in (CUDA, CPU))
        for layer, mask in enumerate(wanted.masks):
            np.testing.assert_array_equal(found.masks[layer], mask)
            np.testing.assert_allclose(
                found.target[layer], wanted.target[layer], rtol=1e-6 if case.precision == "float32" else 1e-13
            )
            if isinstance(case.network.distribution, Uniform) and case.precision == "float32":
                assert found.target[layer].tobytes() == wanted.target[layer].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "activation", "law"),
    [
        (MagnitudePruning(alpha=0.3), ReLU(), Uniform()),
        (RandomPruning(pruned_fraction=0.05), Tanh(), Gaussian()),
        (BernoulliPruning(pruned_fraction=0.04), Sigmoid(), Laplace()),
        (RandomPruning(alpha=0.3), CentredSigmoid(), Rademacher()),
    ],
    ids=lambda value: value.name,
)
def test_trials_in_float32_are_those_of_the_cpu(rule, activation, law):
    agree(point(WIDTHS, activation=activation, law=law, rule=rule, estimators=ALL), stop=2)


@pytest.mark.slow
def test_trials_in_float64_are_those_of_the_cpu():
    case = point(WIDTHS, activation=Tanh(), law=Gaussian(), estimators=ALL, precision="float64")
    agree(case, stop=2)


@pytest.mark.slow
def test_whole_trials_of_width_64_and_depth_3():
    agree(point((64, 64, 64, 64), estimators=(Ascent(restarts=8, steps=1, keep_witness=True), Spectral())), stop=2)


@pytest.mark.slow
def test_a_layer_of_a_million_weights_is_selected_exactly():
    for rule in (MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.1)):
        same_masks(point((1024, 1024), rule=rule), (3,))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("law", [Uniform(), Laplace(), Rademacher()], ids=lambda law: law.name)
def test_masks_are_equal_bit_for_bit(law, precision):
    for amount in (0.07, 1.0):
        same_masks(
            point((45, 33), law=law, rule=MagnitudePruning(pruned_fraction=amount), precision=precision), (2**33 + 5,)
        )
        same_masks(point((45, 33), law=law, rule=BernoulliPruning(pruned_fraction=amount), precision=precision), (1,))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_ties_go_to_the_lowest_index_across_chunks_and_blocks(precision):
    trained = trained_network((200, 170, 3), levels=2)
    for alpha in (0.02, 0.3):
        case = point(trained.widths, rule=MagnitudePruning(alpha=alpha), trained=trained, precision=precision)
        same_masks(case, (5,), trained)


CONFORMANCE = [
    (operations.test_outputs_and_gaps_agree_with_plain_arithmetic, (LeakyReLU(slope=0.3), "float32", 3e-5)),
    (operations.test_outputs_and_gaps_agree_with_plain_arithmetic, (Sigmoid(), "float64", 1e-11)),
    (operations.test_gradients_agree_with_finite_differences, (Tanh(),)),
    (operations.test_a_step_goes_along_the_gradient_and_stays_in_the_ball, ("float32",)),
    (operations.test_a_step_goes_along_the_gradient_and_stays_in_the_ball, ("float64",)),
    (operations.test_a_step_without_gradient_stays_for_any_length, ()),
    (operations.test_the_noise_bounds_the_error_of_the_evaluated_gap, (Tanh(), 0.3, True)),
    (operations.test_an_input_outside_the_ball_is_brought_back, ()),
    (gaps.test_nothing_pruned_means_no_gap_at_all, (ReLU(), True)),
    (sampling.test_random_inputs_follow_from_their_words, ("float32",)),
    (sampling.test_random_inputs_follow_from_their_words, ("float64",)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "arguments"), CONFORMANCE, ids=[f"{check.__name__}-{i}" for i, (check, _) in enumerate(CONFORMANCE)]
)
def test_conformance(check, arguments):
    check(CUDA, *arguments)


@pytest.mark.slow
def test_micro_batches_change_no_bit_and_allocate_once():
    case = point((6, 9, 4), estimators=(Ascent(restarts=4, steps=3), Sampled(samples=9)))
    whole = columns(CUDA, case, stop=5)[0]
    small = InterpretedDevice(room=int(2.5 * bytes_per_trial([case]) / 0.9))
    assert CudaBackend(device=small).batch_size(case) == 2
    parts = columns(CudaBackend(device=small), case, stop=4)[0]
    given = small.given
    rest = columns(CudaBackend(device=small), case, first=4, stop=5)[0]
    assert small.given == given
    for name, column in whole.items():
        assert np.concatenate([parts[name], rest[name]]).tobytes() == column.tobytes(), name


@pytest.mark.slow
def test_a_batch_that_does_not_fit_after_all_is_halved():
    case = point((30, 40, 20), estimators=(Ascent(restarts=16, steps=1),))
    device, two = InterpretedDevice(), InterpretedDevice()
    whole = columns(CudaBackend(device=device), case, stop=4)[0]
    columns(CudaBackend(device=two), case, stop=2)
    tight = InterpretedDevice(limit=two.given)
    halved = columns(CudaBackend(device=tight), case, stop=4)[0]
    drawn, drawn_again = (sum(name == "sample32" for name, _ in found.counts) for found in (device, tight))
    assert drawn == case.network.depth < drawn_again
    for name, column in whole.items():
        assert halved[name].tobytes() == column.tobytes(), name


def test_a_trial_that_fits_nowhere_is_refused_with_the_figures():
    case = point((512, 512))
    with pytest.raises(InputError, match=r"must fit the device's free memory, got \d+ bytes needed and 1000 of 2000 free"):
        CudaBackend(device=InterpretedDevice(room=1000)).batch_size(case)
    with pytest.raises(InputError, match=r"one trial must fit the device, got \d+ bytes needed"):
        columns(CudaBackend(device=InterpretedDevice(limit=1000)), case, stop=2)


@pytest.mark.slow
def test_the_plan_covers_what_a_trial_takes():
    device = InterpretedDevice()
    case = point((24, 24, 24), rule=RandomPruning(alpha=0.3), estimators=(Ascent(restarts=8, steps=2), Sampled(samples=8)))
    backend = CudaBackend(device=device)
    trials = 3
    columns(backend, case, stop=trials)
    # Every array is rounded up to 512 bytes, and there are fewer than 64.
    assert device.given <= trials * bytes_per_trial([case]) + 64 * 512


def test_what_it_does_not_compute_is_refused_in_one_sentence():
    case, reason = point((1 << 16, 1 << 15)), "at most 2\\^31 - 1 weights"
    with pytest.raises(InputError, match=reason):
        columns(CUDA, case, stop=1)
    with pytest.raises(InputError, match=reason):
        CUDA.rebuild(case, 0, None)
    wide = point((1 << 14, 4, 4), estimators=(Sampled(samples=1 << 20),))
    with pytest.raises(InputError, match="at most 2\\^32 - 1 outputs times inputs tried at once"):
        columns(CUDA, wide, stop=1)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [FilterMagnitudePruning(pruned_fraction=0.4), FilterRandomPruning(pruned_fraction=0.1)])
def test_whole_neurons_go(rule):
    case = point((7, 33, 40, 5), rule=rule, estimators=ALL)
    agree(case, stop=1)
    same_masks(case, (0, 2**33 + 5))


def test_the_backend_travels_to_workers_without_its_device():
    backend = pickle.loads(pickle.dumps(CudaBackend(device=gpu_device())))
    assert backend.device is gpu_device()
    assert backend.name == "cuda"


@pytest.mark.slow
def test_linear_networks_meet_their_certificate():
    case = point((6, 8, 4), activation=Identity(), estimators=(Ascent(restarts=4, steps=5), Spectral()))
    row = columns(CUDA, case, stop=1)[0]
    assert 0.7 * row["gap_upper"][0] < row["gap_lower"][0] <= row["gap_upper"][0]


@pytest.mark.slow
def test_starts_hold_the_origin_where_outputs_are_lifted():
    ops = CUDA.open(point((5, 4)), np.arange(2), None)
    x = ops.random_inputs(Purpose.START, 3, origin=True)
    assert not np.asarray(x)[:, :, 0].any()
    np.testing.assert_allclose(np.linalg.norm(x[:, :, 1:3], axis=1), 1.0, rtol=1e-6)
