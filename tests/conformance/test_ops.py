"""Batched operations of every backend: outputs, gradients, steps and error bounds against independent arithmetic."""

import numpy as np
import pytest

from simprune.backends.reference import ReferenceBackend
from simprune.model.activations import ACTIVATIONS, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.distributions import Gaussian
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.rng import Purpose
from tests.conformance.cases import point, trained_network
from tests.oracle import VALUES, Pair

TRIALS = np.arange(3, dtype=np.int64)
REFERENCE = ReferenceBackend()
each_activation = pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)


def opened(backend, case, trained=None):
    ops = backend.open(case, TRIALS, trained)
    return ops, ops.prune([case.rule])[0]


def pairs(case, trained=None):
    return [Pair.of(REFERENCE.rebuild(case, t, trained), case.network.activation) for t in TRIALS.tolist()]


@each_activation
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 3e-5), ("float64", 1e-11)])
def test_outputs_and_gaps_agree_with_plain_arithmetic(backend, activation, precision, rtol):
    case = point((11, 20, 13, 6), activation=activation, rule=RandomPruning(alpha=0.3), precision=precision)
    ops, pruned = opened(backend, case)
    x = ops.random_inputs(Purpose.SAMPLE, 9)
    passed = ops.forward(x)
    norms, gaps = ops.output_norms(passed), ops.gaps(ops.difference(passed, pruned))
    both, _ = ops.gap_and_gradient(x, pruned)
    for row, pair in enumerate(pairs(case)):
        inputs = x[row, :, :9].astype(np.float64)
        np.testing.assert_allclose(norms[row, :9], np.linalg.norm(pair.output(pair.target, inputs), axis=0), rtol=rtol)
        np.testing.assert_allclose(gaps[row, :9], pair.gap(inputs), rtol=rtol)
        np.testing.assert_allclose(both[row, :9], pair.gap(inputs), rtol=rtol)


@each_activation
def test_gradients_agree_with_finite_differences(backend, activation):
    case = point((7, 12, 9, 5), activation=activation, rule=RandomPruning(alpha=0.3), precision="float64")
    ops, pruned = opened(backend, case)
    x = 0.7 * ops.random_inputs(Purpose.SAMPLE, 4)
    passed = ops.forward(x)
    found = {"gap": ops.gap_and_gradient(x, pruned)[1], "output": ops.output_gradient(passed)}
    for row, pair in enumerate(pairs(case)):
        functions = {
            "gap": pair.gap,
            "output": lambda v, p=pair: np.linalg.norm(p.output(p.target, v), axis=0),
        }
        for name, function in functions.items():
            for c in range(4):
                wanted = finite_difference(function, x[row, :, c])
                gradient = found[name][row, :, c]
                np.testing.assert_allclose(gradient / np.linalg.norm(gradient), wanted / np.linalg.norm(wanted), atol=2e-6)


def finite_difference(function, x, h=1e-7):
    shifts = h * np.eye(len(x))
    return (function(x[:, None] + shifts) - function(x[:, None] - shifts)) / (2.0 * h)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_step_goes_along_the_gradient_and_stays_in_the_ball(backend, precision):
    case = point((5, 3), precision=precision)
    ops, _ = opened(backend, case)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 5, 8))
    x = (0.4 * x / np.linalg.norm(x, axis=1, keepdims=True)).astype(precision)
    gradient = (100.0 * rng.normal(size=x.shape)).astype(precision)
    gradient[:, :, 0] = 0.0
    gradient[:, :, 1] *= 1e-30
    length = np.tile(np.array([1.0, 0.25, 0.25, 0.0, 3.0, 1e30, np.inf, np.inf]), (3, 1)).astype(precision)
    moved = ops.step(x, gradient, length).astype(np.float64)
    x, gradient, length = (a.astype(np.float64) for a in (x, gradient, length))
    unit = gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-300)
    tolerance = 1e-6 if precision == "float32" else 1e-14
    np.testing.assert_array_equal(moved[:, :, 0], x[:, :, 0])
    straight = x + np.minimum(length, 1e100)[:, None, :] * unit
    wanted = straight / np.maximum(1.0, np.linalg.norm(straight, axis=1, keepdims=True))
    np.testing.assert_allclose(moved[:, :, 1:6], wanted[:, :, 1:6], atol=tolerance)
    np.testing.assert_allclose(moved[:, :, 6:], unit[:, :, 6:], atol=tolerance)


def test_a_step_without_gradient_stays_for_any_length(backend):
    ops, _ = opened(backend, point((5, 3)))
    x = ops.random_inputs(Purpose.START, 8)
    for length in (0.0, 1.0, np.inf):
        lengths = np.full((3, 8), length, dtype=np.float32)
        np.testing.assert_allclose(ops.step(x, np.zeros_like(x), lengths), x, rtol=3e-7)


def extended_gap(pair, x):
    """The gap in extended precision, by difference of two independent passes."""
    outputs = []
    for weights in (pair.target, pair.pruned):
        h = x.astype(np.longdouble)
        for layer, (weight, bias) in enumerate(zip(weights, pair.biases, strict=True)):
            h = weight.astype(np.longdouble) @ h + bias.astype(np.longdouble)
            if layer < len(weights) - 1:
                h = VALUES[pair.activation.name](h, np.longdouble(pair.activation.parameter))
        outputs.append(h)
    return np.sqrt(np.sum((outputs[0] - outputs[1]) ** 2))


@each_activation
@pytest.mark.parametrize("amount", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs 80-bit long doubles")
def test_the_noise_bounds_the_error_of_the_evaluated_gap(backend, activation, amount, biased):
    trained = trained_network((12, 20, 15, 6)) if biased else None
    rule = MagnitudePruning(pruned_fraction=amount)
    case = point(
        (12, 20, 15, 6), activation=activation, rule=rule, law=Gaussian(K=2.0), precision="float64", trained=trained
    )
    ops, pruned = opened(backend, case, trained)
    for sample in range(4):
        x = ops.random_inputs(Purpose.SAMPLE, 4)[:, :, sample]
        gap, noise = ops.evaluate(x, pruned)
        for row, pair in enumerate(pairs(case, trained)):
            wide = x[row].astype(np.longdouble)
            exact = extended_gap(pair, wide / np.maximum(np.sqrt(np.sum(wide**2)), 1.0))
            assert abs(exact - gap[row]) <= noise[row] + 1e-17
            assert noise[row] < 1e-10 * max(gap[row], 1e-3)


def test_an_input_outside_the_ball_is_brought_back(backend):
    case = point((6, 8, 3), activation=Identity())
    ops, pruned = opened(backend, case)
    x = ops.random_inputs(Purpose.SAMPLE, 1)[:, :, 0]
    inside, _ = ops.evaluate(x, pruned)
    outside, _ = ops.evaluate((7.0 * x.astype(np.float64)).astype(x.dtype), pruned)
    np.testing.assert_allclose(outside, inside, rtol=1e-6)


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(slope=0.3), Tanh(), Sigmoid()], ids=lambda a: a.name)
def test_backends_agree_on_evaluations_and_norms(other, activation):
    trained = trained_network((12, 20, 15, 6))
    for case, source in (
        (point((12, 20, 15, 6), activation=activation), None),
        (point(trained.widths, activation=activation, trained=trained), trained),
    ):
        (ops, pruned), (twin, twin_pruned) = opened(other, case, source), opened(REFERENCE, case, source)
        x = twin.random_inputs(Purpose.SAMPLE, 8)
        gap, noise = ops.evaluate(x[:, :, 0], pruned)
        wanted, twin_noise = twin.evaluate(x[:, :, 0], twin_pruned)
        np.testing.assert_allclose(gap, wanted, rtol=1e-5)
        assert np.all(noise < 3.0 * twin_noise)
        assert np.all(twin_noise < 3.0 * noise)
        norms, exact = ops.layer_norms(pruned), twin.layer_norms(twin_pruned)
        for name in ("target", "pruned", "delta"):
            found, wanted = getattr(norms, name), getattr(exact, name)
            assert np.all(found >= wanted * (1.0 - 1e-6)), name
            assert np.all(found <= wanted * 1.02), name
        np.testing.assert_allclose(ops.bias_norms(), twin.bias_norms(), rtol=1e-8)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("count", [3, 8, 9])
@pytest.mark.parametrize("biased", [False, True])
def test_whether_outputs_or_gaps_are_asked_for_first_changes_no_bit(backend, precision, count, biased):
    trained = trained_network((11, 20, 13, 6)) if biased else None
    rule = MagnitudePruning(alpha=0.5)
    case = point((11, 20, 13, 6), activation=Tanh(), rule=rule, precision=precision, trained=trained)
    ops, pruned = opened(backend, case, trained)
    x = ops.random_inputs(Purpose.SAMPLE, count)
    early, late = ops.forward(x), ops.forward(x)
    norms = ops.output_norms(early)
    gaps = ops.gaps(ops.difference(late, pruned))
    assert ops.gaps(ops.difference(early, pruned)).tobytes() == gaps.tobytes()
    assert ops.output_norms(late).tobytes() == norms.tobytes()
    for row, pair in enumerate(pairs(case, trained)):
        inputs = x[row, :, :count].astype(np.float64)
        outputs = pair.output(pair.target, inputs)
        np.testing.assert_allclose(norms[row, :count], np.linalg.norm(outputs, axis=0), rtol=3e-5)
