"""The CUDA backend on interpreted kernels beside the cpu backend: stages that a wrong kernel cannot pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simprune.backends.conv_states import fill_pooled
from simprune.backends.cpu import CpuBackend, CpuOps
from simprune.backends.cuda import CudaBackend
from simprune.backends.cuda_device import AbstractDevice
from simprune.backends.cuda_ops import CudaOps
from simprune.backends.cuda_selection import BINS_OF_THREAD, DIGIT
from simprune.backends.reference_conv import written_out
from simprune.design.point import Point
from simprune.model.activations import LeakyReLU, Tanh
from simprune.model.chain import Chain
from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, MaxPool
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.rng import Purpose
from tests.conformance.cases import point, trained_cnn

ODD = (37, 70, 33)
LARGE = (300, 300)
WHOLE = (64, 96)
TRIALS = np.array([3, (1 << 33) + 5], dtype=np.int64)
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}
SUMS = {"float32": 1e-4, "float64": 1e-11}
Stage = Callable[[AbstractDevice], None]


def _sides(device: AbstractDevice, case: Point, trials: Any = TRIALS) -> tuple[CudaOps, CpuOps]:
    return CudaOps(device, case, trials, None), CpuBackend().open(case, trials, None)


def sampled(law: Any, precision: str) -> Stage:
    """Weights, keys of weights and of random masks, and random inputs."""

    def stage(device: AbstractDevice) -> None:
        cuda, cpu = _sides(device, point(ODD, law=law, precision=precision))
        near = {"rtol": TOLERANCE[precision], "atol": 0}
        np.testing.assert_array_equal(cuda._keys, cpu._keys.view(cuda._keys.dtype))
        np.testing.assert_array_equal(cuda._mask_keys, cpu._mask_keys.view(cuda._mask_keys.dtype))
        np.testing.assert_allclose(cuda.weights, cpu.weights, **near)
        wanted = cpu.random_inputs(Purpose.START, 5)
        np.testing.assert_allclose(cuda.random_inputs(Purpose.START, 5), wanted, rtol=10 * near["rtol"], atol=0)

    return stage


def selected(widths: tuple[int, ...], rule: Any, law: Any, precision: str, trials: Any = TRIALS) -> Stage:
    """Masks, counts and smallest kept weights."""

    def stage(device: AbstractDevice) -> None:
        case = point(widths, law=law, rule=rule, precision=precision)
        cuda, cpu = _sides(device, case, trials)
        found, wanted = cuda.prune([rule])[0], cpu.prune([rule])[0]
        masks = cuda.masks(found)
        for i, trial in enumerate(trials.tolist()):
            for mask, expected in zip(masks, CpuBackend().rebuild(case, trial, None).masks, strict=True):
                np.testing.assert_array_equal(mask[i], expected)
        np.testing.assert_array_equal(found.n_pruned, wanted.n_pruned)
        np.testing.assert_allclose(found.threshold, wanted.threshold, rtol=TOLERANCE[precision])
        _compare_turned(cuda, found, masks)

    return stage


def at_the_edge_of_a_digit(device: AbstractDevice) -> None:
    """The wanted key is the last of the bins that one thread of the scan sums."""
    law, edge = Uniform(K=1.0), np.int32(100 * BINS_OF_THREAD) << np.int32(31 - DIGIT)
    keys = CpuBackend().open(point(LARGE, law=law), TRIALS[:1], None)._keys[0]
    share = (np.count_nonzero(keys < edge) + 0.5) / keys.size
    selected(LARGE, MagnitudePruning(pruned_fraction=share), law, "float32", TRIALS[:1])(device)


def _compare_turned(cuda: CudaOps, found: Any, masks: Any) -> None:
    words, first = found.turned, 0
    for mask in masks:
        _, d_out, d_in = mask.shape
        n = d_in * -(-d_out // 32)
        part = np.ascontiguousarray(words[:, first : first + n]).reshape(mask.shape[0], d_in, -1)
        bits = np.unpackbits(part.view(np.uint8), axis=2, bitorder="little")[:, :, :d_out]
        np.testing.assert_array_equal(bits == 0, mask.transpose(0, 2, 1))
        first += n


def passed(share: float, activation: Any, precision: str) -> Stage:
    """Norms and gradients of the target, gaps and gradients of the pair, and a step."""

    def stage(device: AbstractDevice) -> None:
        rule = MagnitudePruning(pruned_fraction=share)
        cuda, cpu = _sides(device, point(ODD, law=Uniform(K=3.0), activation=activation, rule=rule, precision=precision))
        _compare_passes(cuda, cpu, rule, precision, columns=21)

    return stage


def _compare_passes(cuda: CudaOps, cpu: Any, rule: Any, precision: str, *, columns: int) -> None:
    there, here = cuda.prune([rule])[0], cpu.prune([rule])[0]
    x = cpu.random_inputs(Purpose.START, columns)
    ours, theirs = cuda.forward(x), cpu.forward(x)
    _near(cuda.output_norms(ours), cpu.output_norms(theirs), precision)
    _near(cuda.output_gradient(ours), cpu.output_gradient(theirs), precision)
    _near(cuda.gaps(cuda.difference(ours, there)), cpu.gaps(cpu.difference(theirs, here)), precision)
    gaps, gradient = cuda.gap_and_gradient(x, there)
    wanted, slope = cpu.gap_and_gradient(x, here)
    _near(gaps, wanted, precision)
    _near(gradient, slope, precision)
    length = np.full(wanted.shape, 0.3)
    length[:, 1::3] = np.inf
    _near(cuda.step(x, slope, length), cpu.step(x, slope, length), precision)


def _near(found: Any, wanted: Any, precision: str) -> None:
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=SUMS[precision] * np.abs(wanted).max())


def evaluated(activation: Any, precision: str) -> Stage:
    """The gap at one input and its bound of the rounding errors."""

    def stage(device: AbstractDevice) -> None:
        rule = MagnitudePruning(pruned_fraction=0.3)
        cuda, cpu = _sides(device, point(ODD, law=Uniform(K=3.0), activation=activation, rule=rule, precision=precision))
        there, here = cuda.prune([rule])[0], cpu.prune([rule])[0]
        x = np.ascontiguousarray(cpu.random_inputs(Purpose.START, 1)[:, :, 0]) * 1.5
        gap, noise = cuda.evaluate(x, there)
        wanted, bound = cpu.evaluate(x, here)
        assert (np.abs(gap - wanted) <= noise + bound + TOLERANCE[precision] * wanted).all()
        for i in range(len(TRIALS)):
            kept = [mask[i] for mask in cuda.masks(there)]
            cuts = np.cumsum([mask.size for mask in kept])[:-1]
            weights = [
                w.reshape(m.shape) for w, m in zip(np.split(cuda.weights[i].astype(np.float64), cuts), kept, strict=True)
            ]
            expected = _evaluation(weights, kept, activation, x[i].astype(np.float64))
            np.testing.assert_allclose((gap[i], noise[i]), expected, rtol=1e-8)

    return stage


def _evaluation(
    weights: list[Any], kept: list[Any], activation: Any, x: Any, *, terms: Any = None, biases: Any = None
) -> tuple[float, float]:
    """Return gap and error bound by the recursion that ``cuda_evaluation`` states, in plain NumPy.

    ``terms``: of a row of each layer, where the matrices are written out.
    """
    epsilon = 2.0**-52
    norm = np.linalg.norm(x) * (1 + (x.size + 8) * epsilon)
    h = x / max(norm, 1.0)
    eh, dh, edh = np.zeros((3, x.size))
    scalar = np.vectorize(lambda v: activation.scalar(v, activation.parameter))
    for layer, (w, mask) in enumerate(zip(weights, kept, strict=True)):
        g, size = ((terms[layer] if terms else h.size) + 8) * epsilon, np.abs(w)
        value_error, moved_error = eh + g * np.abs(h), edh + g * np.abs(dh)
        bias = biases[layer] if biases else np.zeros(len(w))
        z, ez = w @ h + bias, size @ value_error + g * np.abs(bias)
        dz, edz = (w * mask) @ dh - (w * ~mask) @ h, (size * mask) @ moved_error + (size * ~mask) @ value_error
        if layer == len(weights) - 1:
            break
        lipschitz, moved = activation.lipschitz, z + dz
        h, dh = scalar(z), scalar(moved) - scalar(z)
        if activation.curvature == np.inf:
            safe = ((z > 0) == (moved > 0)) & (np.minimum(np.abs(z), np.abs(moved)) > ez)
            shift = np.where(safe, 0.0, 2 * lipschitz * np.minimum(ez, np.abs(dz)))
        else:
            shift = np.minimum(activation.curvature * ez, 2 * lipschitz) * np.abs(dz)
        eh = lipschitz * ez + 8 * epsilon * (np.abs(h) + abs(activation.value_at_zero))
        edh = lipschitz * edz + shift + 16 * epsilon * (np.abs(dh) + lipschitz * np.abs(dz))
    gap = float(np.linalg.norm(dz))
    return gap, float(np.linalg.norm(edz)) * (1 + 1e-9) + (dz.size + 8) * epsilon * gap


def convolved(chain: Chain, activation: Any, precision: str) -> Stage:
    """What ``passed`` compares, of a network with convolutions and biases."""

    def stage(device: AbstractDevice) -> None:
        trained = trained_cnn(chain)
        rule = MagnitudePruning(pruned_fraction=0.3)
        case = point(chain=chain, activation=activation, rule=rule, precision=precision, trained=trained)
        cuda, cpu = (backend.open(case, TRIALS[:1], trained) for backend in (CudaBackend(device=device), CpuBackend()))
        _compare_passes(cuda, cpu, rule, precision, columns=5)

    return stage


def convolutions_evaluated(device: AbstractDevice) -> None:
    """Gap and error bound of convolutions with padding, strides, groups and biases by the recursion of matrices."""
    chain, rule, activation = STRIDED, MagnitudePruning(pruned_fraction=0.3), Tanh()
    trained = trained_cnn(chain)
    case = point(chain=chain, activation=activation, rule=rule, trained=trained)
    cuda = CudaBackend(device=device).open(case, TRIALS[:1], trained)
    there = cuda.prune([rule])[0]
    x = np.linspace(-1.0, 1.0, chain.widths[0])
    gap, noise = cuda.evaluate(x[None], there)
    kernels = [
        w.astype(np.float64).reshape(1, *s.matrix_shape) for w, s in zip(trained.weights, chain.weighted, strict=True)
    ]
    gone = [np.where(mask, 0.0, w) for w, mask in zip(kernels, cuda.masks(there), strict=True)]
    pairs = [[written_out(s, w)[0] for w in both] for s, *both in zip(chain.weighted, kernels, gone, strict=True)]
    biases = [np.repeat(b.astype(np.float64), s.positions) for b, s in zip(trained.biases, chain.weighted, strict=True)]
    terms = [stage.matrix_shape[1] for stage in chain.weighted]
    whole, pruned = ([matrices[i] for matrices in pairs] for i in range(2))
    expected = _evaluation(whole, [delta == 0.0 for delta in pruned], activation, x, terms=terms, biases=biases)
    np.testing.assert_allclose((gap[0], noise[0]), expected, rtol=1e-8)


def pools_evaluated(device: AbstractDevice) -> None:
    """Pooled values, deviations and error bounds of the cpu backend, for clear maxima and for close ones."""
    rng = np.random.default_rng(5)
    for maximum in (0, 1):
        window = np.array((2, 5, 6, 2, 3, 2, 1, 2, 4, maximum), dtype=np.int64)
        for scale in (1.0, 0.3, 0.1, 1e-3):
            state = np.zeros((1, 8, 60))
            state[0, 0], state[0, 2] = rng.standard_normal((2, 60))
            state[0, 1], state[0, 3] = scale * rng.random((2, 60))
            wanted = np.empty((1, 4, 16))
            fill_pooled(tuple(window.tolist()), state[:, :4].copy(), wanted)
            device.launch("evaluate_pool", (1, 1), window, 16, state)
            np.testing.assert_allclose(state[:, 4:, :16], wanted, rtol=1e-9)


STRIDED = Chain(
    input=(4, 6, 5),
    layers=(
        Conv2d(channels=6, kernel=(3, 2), stride=(2, 1), padding=(1, 1), groups=2),
        Conv2d(channels=2, kernel=(3, 3), padding=(1, 1), circular=True),
        Flatten(),
        Dense(width=3),
    ),
)
POOLED = Chain(
    input=(2, 7, 6),
    layers=(
        Conv2d(channels=3, kernel=(2, 2)),
        MaxPool(kernel=(2, 3), stride=(1, 2)),
        Conv2d(channels=2, kernel=(2, 1)),
        AveragePool(kernel=(2, 1), stride=(2, 1)),
        MaxPool(kernel=(2, 1), stride=(1, 1)),
    ),
)
STAGES: dict[str, Stage] = {
    "uniform32": sampled(Uniform(K=1.0), "float32"),
    "gaussian32": sampled(Gaussian(K=1.0), "float32"),
    "laplace64": sampled(Laplace(K=1.0), "float64"),
    "magnitude32": selected(ODD, MagnitudePruning(pruned_fraction=0.3), Uniform(K=1.0), "float32"),
    "random64": selected(ODD, RandomPruning(pruned_fraction=0.2), Uniform(K=1.0), "float64"),
    "whole words": selected(WHOLE, MagnitudePruning(pruned_fraction=0.3), Uniform(K=1.0), "float32", TRIALS[:1]),
    "ties": selected(LARGE, MagnitudePruning(pruned_fraction=0.4), Rademacher(K=1.0), "float32", TRIALS[:1]),
    "blocks": selected(LARGE, MagnitudePruning(pruned_fraction=0.4), Uniform(K=1.0), "float32", TRIALS[:1]),
    "edge of a digit": at_the_edge_of_a_digit,
    "dense pass": passed(0.3, Tanh(), "float32"),
    "sparse pass": passed(0.02, LeakyReLU(slope=0.1), "float32"),
    "pass with kinks": passed(0.5, LeakyReLU(slope=0.1), "float32"),
    "evaluation": evaluated(Tanh(), "float32"),
    "convolutions": convolved(STRIDED, Tanh(), "float32"),
    "pooling": convolved(POOLED, LeakyReLU(slope=0.1), "float64"),
    "evaluated convolutions": convolutions_evaluated,
    "evaluated pooling": pools_evaluated,
    "evaluation with kinks": evaluated(LeakyReLU(slope=0.1), "float64"),
}
