"""Networks with convolutions and pooling on the CUDA backend, its kernels' PTX on the interpreter: the same tests as every
backend passes, and whole trials that are those of the CPU.
"""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from simprune.backends.conv_cpu import ConvOps
from simprune.backends.cuda import CudaBackend, bytes_per_trial
from simprune.backends.cuda_twin import ConvHostTwin
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.activations import Identity, ReLU, Sigmoid, Tanh
from simprune.model.distributions import Gaussian
from simprune.model.pruning import BernoulliPruning, FilterMagnitudePruning, MagnitudePruning, RandomPruning
from tests.backends.interpreted import InterpretedDevice, packed
from tests.backends.test_cuda_backend import CUDA, agree, same_masks
from tests.conformance import test_convolutions as convolutions
from tests.conformance.cases import SMALL_CNN, columns, point, trained_cnn

CHAINS = convolutions.CHAINS
WIDE, GROUPED, LINE = "pooling first, last and overlapping", "groups, strides and circular padding", "one dimension"
ALL = (Ascent(restarts=4, steps=1, keep_witness=True), Sampled(samples=9), Spectral())
CONFORMANCE = [
    (convolutions.test_outputs_and_gaps_agree_with_plain_loops, (CHAINS[WIDE], "float32", 2e-4)),
    (convolutions.test_outputs_and_gaps_agree_with_plain_loops, (CHAINS[GROUPED], "float64", 1e-10)),
    (convolutions.test_outputs_and_gaps_agree_with_plain_loops, (CHAINS[LINE], "float32", 2e-4)),
    (convolutions.test_gradients_agree_with_finite_differences, (CHAINS[GROUPED],)),
    (convolutions.test_gradients_agree_with_finite_differences, (CHAINS[LINE],)),
    (convolutions.test_gradients_agree_with_finite_differences, (SMALL_CNN,)),
    (convolutions.test_the_noise_bounds_the_error_of_the_evaluated_gap, (CHAINS[WIDE], ReLU())),
    (convolutions.test_the_noise_bounds_the_error_of_the_evaluated_gap, (CHAINS[GROUPED], Sigmoid())),
    (convolutions.test_the_noise_bounds_the_error_of_the_evaluated_gap, (CHAINS[LINE], Tanh())),
    (convolutions.test_masks_of_kernels_are_exact_with_ties, (2,)),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "arguments"), CONFORMANCE, ids=[f"{check.__name__}-{i}" for i, (check, _) in enumerate(CONFORMANCE)]
)
def test_conformance(check, arguments):
    check(CUDA, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rule", "activation"),
    [
        ("small", MagnitudePruning(alpha=0.3), ReLU()),
        (GROUPED, RandomPruning(pruned_fraction=0.05), Tanh()),
        (LINE, BernoulliPruning(pruned_fraction=0.3), Sigmoid()),
        (LINE, FilterMagnitudePruning(pruned_fraction=0.3), ReLU()),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_trials_are_those_of_the_cpu(name, rule, activation):
    case = point(chain=CHAINS[name], rule=rule, activation=activation, estimators=ALL)
    agree(case, stop=2)
    same_masks(case, (0, 2**33 + 5))


@pytest.mark.slow
def test_trained_networks_keep_their_biases():
    trained = trained_cnn(levels=9)
    case = point(chain=SMALL_CNN, activation=Tanh(), trained=trained, estimators=ALL, precision="float64")
    agree(case, stop=1, trained=trained)
    same_masks(case, (3,), trained)


@pytest.mark.slow
def test_nothing_pruned_means_no_gap_at_all():
    trained = trained_cnn()
    case = point(chain=SMALL_CNN, rule=MagnitudePruning(pruned_fraction=0.0), trained=trained, estimators=ALL)
    row = columns(CUDA, case, stop=1, trained=trained)[0]
    for name in ("gap_lower", "gap_upper", "noise_floor", "delta_norm", "n_pruned", "status"):
        assert np.all(row[name] == 0), name
    assert np.all(row["output_norm"] > 0)


@pytest.mark.slow
def test_micro_batches_change_no_bit_and_keep_to_the_plan():
    case = point(chain=CHAINS[LINE], estimators=(Ascent(restarts=4, steps=2), Sampled(samples=9)))
    whole = columns(CUDA, case, stop=3)[0]
    small = InterpretedDevice(room=int(2.5 * bytes_per_trial([case]) / 0.9))
    assert CudaBackend(device=small).batch_size(case) == 2
    parts = columns(CudaBackend(device=small), case, stop=3)[0]
    # Every array is rounded up to 512 bytes, and there are fewer than 64.
    assert small.given <= 2 * bytes_per_trial([case]) + 64 * 512
    for name, column in whole.items():
        assert parts[name].tobytes() == column.tobytes(), name


def test_certificates_of_given_masks_are_those_of_the_cpu():
    case = point(chain=CHAINS[GROUPED], activation=Identity(), law=Gaussian(), rule=BernoulliPruning(pruned_fraction=0.3))
    trials = np.arange(3)
    ops = ConvOps(case, trials, None)
    pruned = ops.prune([case.rule])[0]
    weights = np.concatenate([sample.weights for sample in ops.samples], axis=1)
    twin = ConvHostTwin(case, trials, None, weights)
    shapes = case.network.shapes
    masks = [np.ones((3, *shape), dtype=bool) for shape in shapes]
    for mask, layer in zip(masks, pruned.layers, strict=True):
        starts, found, _ = layer.entries
        for t in range(3):
            for row in range(mask.shape[1]):
                mask[t, row, found[t, starts[t, row] : starts[t, row + 1]]] = False
    given = twin.pruned_by(np.concatenate([packed(mask) for mask in masks], axis=1), pruned.n_pruned)
    np.testing.assert_array_equal(given.n_pruned, pruned.n_pruned)
    found, wanted = twin.layer_norms(given), ops.layer_norms(pruned)
    for name in ("target", "pruned", "delta"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    np.testing.assert_array_equal(twin.linear_gap(given), ops.linear_gap(pruned))
