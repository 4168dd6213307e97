"""Winograd's algorithm against written-out matrices; its transforms against those of Toom and Cook, derived anew here."""

import numpy as np
import pytest

from simprune.backends.conv_plan import layer_plan
from simprune.backends.conv_sampling import PrunedLayer
from simprune.backends.conv_weights import (
    PlainWeights,
    SparseWeights,
    SpreadWeights,
    dense_weights,
    multiplies_densely,
    spread_weights,
)
from simprune.backends.reference_conv import written_out
from simprune.backends.winograd_tiles import FAR, NEAR
from simprune.model.chain import Chain
from simprune.model.layers import Conv2d

LAYERS = {
    "padded": (Conv2d(channels=17, kernel=(3, 3), padding=(1, 1)), (16, 8, 5)),
    "no padding": (Conv2d(channels=16, kernel=(3, 3)), (19, 6, 9)),
    "wide padding": (Conv2d(channels=3, kernel=(3, 3), padding=(2, 2)), (2, 5, 4)),
    "circular": (Conv2d(channels=16, kernel=(3, 3), padding=(1, 1), circular=True), (20, 4, 7)),
    "groups": (Conv2d(channels=34, kernel=(3, 3), padding=(1, 0), groups=2), (32, 7, 6)),
    "one channel": (Conv2d(channels=1, kernel=(3, 3), padding=(1, 1)), (1, 3, 3)),
}


def toom_cook():
    """A^T, G and B^T from the points: evaluations of the filter and of the outputs, Lagrange polynomials of the inputs."""
    points = [0.0, NEAR, -NEAR, FAR, -FAR]
    outputs = np.array([[p**i for p in points] + [float(i == 3)] for i in range(4)])
    others = [[q for q in points if q != p] for p in points]
    taps = [[p**k / np.prod([p - q for q in rest]) for k in range(3)] for p, rest in zip(points, others, strict=True)]
    inputs = [[*np.poly(rest)[::-1], 0.0] for rest in others]
    return outputs, np.array([*taps, [0.0, 0.0, 1.0]]), np.array([*inputs, np.poly(points)[::-1]])


def test_the_transforms_give_the_correlation_of_a_tile():
    outputs, taps, inputs = toom_cook()
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
    found = outputs @ ((taps @ g @ taps.T) * (inputs @ d @ inputs.T)) @ outputs.T
    patches = np.lib.stride_tricks.sliding_window_view(d, (3, 3))
    assert np.allclose(found, (patches * g).sum(axis=(2, 3)), rtol=0, atol=1e-13)


def case(name, n_columns, dtype):
    layer, source = LAYERS[name]
    (stage,) = Chain(input=source, layers=(layer,)).stages
    plan, rng = layer_plan(stage), np.random.default_rng(n_columns)
    weights = rng.uniform(-1, 1, (2, plan.rows * plan.columns)).astype(dtype)
    matrices = written_out(stage, weights.astype(np.float64).reshape(2, plan.rows, -1))
    return plan, rng, weights, matrices


@pytest.mark.parametrize("n_columns", [8, 24, 40, 64, 72])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_adjoint_are_products_with_the_written_out_matrix(name, dtype, n_columns):
    plan, rng, weights, matrices = case(name, n_columns, dtype)
    x = rng.uniform(-1, 1, (2, plan.n_in, n_columns)).astype(dtype)
    y = rng.uniform(-1, 1, (2, plan.n_out, n_columns)).astype(dtype)
    out, exact = np.full(y.shape, np.nan, dtype), matrices @ x
    forward = spread_weights(plan.forward, weights)
    forward.write(x, out)
    assert is_near(out, exact)
    forward.add(x, out)
    assert is_near(out, 2 * exact)
    if not plan.folds:
        back = np.full(x.shape, np.nan, dtype)
        spread_weights(plan.adjoint, weights[:, plan.order]).write(y, back)
        assert is_near(back, matrices.transpose(0, 2, 1) @ y)


def is_near(found, exact):
    """Up to some times the rounding error that the last test measures; one missing product is a thousand times that."""
    return np.abs(found - exact).max() <= 100 * np.finfo(found.dtype).eps * np.abs(exact).max()


@pytest.mark.parametrize("n_columns", [24, 72, 136])
def test_a_column_does_not_depend_on_the_columns_beside_it(n_columns):
    plan, rng, weights, _ = case("padded", n_columns, np.float32)
    x = rng.standard_normal((2, plan.n_in, n_columns)).astype(np.float32)
    form, whole = spread_weights(plan.forward, weights), np.empty((2, plan.n_out, n_columns), np.float32)
    form.write(x, whole)
    for first in range(0, n_columns, 8):
        alone = np.empty((2, plan.n_out, 8), np.float32)
        form.write(np.ascontiguousarray(x[:, :, first : first + 8]), alone)
        assert whole[:, :, first : first + 8].tobytes() == alone.tobytes()


def test_rounding_is_near_that_of_the_plain_sum():
    plan, rng, weights, matrices = case("padded", 64, np.float32)
    x = rng.standard_normal((2, plan.n_in, 64)).astype(np.float32)
    exact = matrices @ x.astype(np.float64)
    errors = []
    for form in (spread_weights(plan.forward, weights), PlainWeights(correlation=plan.forward, weights=weights)):
        out = np.empty(exact.shape, np.float32)
        form.write(x, out)
        errors.append(float(np.sqrt(((out - exact) ** 2).mean() / (exact**2).mean())))
    assert errors[0] < 4 * errors[1]
    assert errors[0] < 1e-6


@pytest.mark.parametrize("name", ["padded", "circular", "groups"])
def test_large_layers_are_spread_and_many_pruned_weights_multiplied_densely(name):
    plan, rng, weights, _ = case(name, 16, np.float64)
    assert isinstance(dense_weights(plan.forward, weights), SpreadWeights)
    gone = rng.random((2, plan.rows, plan.columns)) < 0.4
    starts = np.zeros((2, plan.rows + 1), dtype=np.int64)
    np.cumsum(gone.sum(axis=2), axis=1, out=starts[:, 1:])
    counts = starts[:, -1]
    columns, values = np.zeros((2, counts.max()), np.int32), np.zeros((2, counts.max()))
    for t in range(2):
        columns[t, : counts[t]] = np.nonzero(gone[t])[1]
        values[t, : counts[t]] = -weights[t].reshape(gone[t].shape)[gone[t]]
    assert multiplies_densely(plan, int(counts.min()))
    x, p = rng.standard_normal((2, plan.n_in, 16)), rng.standard_normal((2, plan.n_out, 16))
    found = {}
    for is_dense in (False, True):
        own = PrunedLayer(
            plan=plan,
            entries=(starts, columns, values),
            n_pruned=counts,
            threshold=np.zeros(2),
            is_dense=is_dense,
        )
        assert isinstance(own.forward, SpreadWeights if is_dense else SparseWeights)
        out, image = np.full((2, plan.n_out, 16), np.nan), np.full((2, plan.n_image, 16), np.nan)
        own.forward.write(x, out)
        own.adjoint.write(p, image)
        found[is_dense] = out, image
    for sparse, dense in zip(found[False], found[True], strict=True):
        assert np.abs(sparse - dense).max() < 1e-11


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        (Conv2d(channels=32, kernel=(3, 3), stride=(2, 2), padding=(1, 1)), (32, 16, 16)),
        (Conv2d(channels=32, kernel=(1, 9)), (32, 16, 16)),
        (Conv2d(channels=32, kernel=(5, 5), padding=(2, 2)), (32, 16, 16)),
        (Conv2d(channels=8, kernel=(3, 3), padding=(1, 1)), (32, 16, 16)),
        (Conv2d(channels=32, kernel=(3, 3)), (32, 4, 7)),
    ],
    ids=["stride", "flat kernel", "large kernel", "few channels", "small image"],
)
def test_other_layers_are_not(layer, source):
    (stage,) = Chain(input=source, layers=(layer,)).stages
    plan = layer_plan(stage)
    weights = np.ones((1, plan.rows * plan.columns), np.float32)
    assert not isinstance(dense_weights(plan.forward, weights), SpreadWeights)
    assert not multiplies_densely(plan, weights.size)
