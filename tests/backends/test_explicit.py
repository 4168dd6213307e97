"""Explicit pairs: maps against their dense matrices, gradients against differences, error bounds against exact numbers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simprune.backends import explicit_maps as maps
from simprune.backends.explicit import ExplicitOps
from simprune.backends.explicit_norms import map_norm
from simprune.backends.explicit_pair import Ball, ExplicitPair, Parts
from simprune.model.activations import ReLU, Tanh
from simprune.model.chain import Chain
from simprune.model.errors import InputError
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, GlobalMaxPool, MaxPool
from simprune.trained.network import TrainedNetwork
from tests.bracket.slow import output, pooled, weighted
from tests.trained.networks import filled

CONVS = [
    Conv2d(channels=4, kernel=(3, 2), padding=(1, 1)),
    Conv2d(channels=4, kernel=(3, 3), stride=(2, 1), padding=(2, 0), groups=2),
    Conv2d(channels=6, kernel=(3, 3), padding=(1, 1), circular=True),
    Conv2d(channels=2, kernel=(2, 3), stride=(1, 3), padding=(0, 1), circular=True, groups=2),
    Conv2d(channels=3, kernel=(1, 1), stride=(2, 2)),
]


def stage_of(layer, shape=(2, 5, 6)):
    return Chain(input=shape, layers=(layer,) if layer.is_weighted else (layer, Flatten(), Dense(width=1))).stages[0]


@pytest.mark.slow
@pytest.mark.parametrize("layer", CONVS, ids=str)
def test_convolutions_their_adjoints_and_norms_agree_with_dense_matrices(layer):
    stage = stage_of(layer)
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal(stage.weight_shape)
    n_in, zero = int(np.prod(stage.input)), np.zeros(layer.channels)
    matrix = np.array([weighted(stage, kernel, zero, unit.reshape(stage.input)).ravel() for unit in np.eye(n_in)]).T
    x, y = rng.standard_normal((n_in, 3)), rng.standard_normal((len(matrix), 3))
    got = maps.apply(stage, kernel, x.reshape(*stage.input, 3))
    assert np.allclose(got.reshape(-1, 3), matrix @ x, atol=1e-12)
    back = maps.adjoint(stage, kernel, y.reshape(*stage.output, 3))
    assert np.allclose(back.reshape(-1, 3), matrix.T @ y, atol=1e-12)
    exact = np.linalg.norm(matrix, 2)
    assert exact <= map_norm(stage, kernel) <= 1.02 * exact


@pytest.mark.slow
def test_norms_of_convolutions_too_large_to_write_out_are_bounds(monkeypatch):
    monkeypatch.setattr("simprune.backends.explicit_norms.MOST_ENTRIES", 0)
    for layer in CONVS:
        stage = stage_of(layer)
        kernel = np.random.default_rng(1).standard_normal(stage.weight_shape)
        n_in, zero = int(np.prod(stage.input)), np.zeros(layer.channels)
        matrix = np.array([weighted(stage, kernel, zero, unit.reshape(stage.input)).ravel() for unit in np.eye(n_in)]).T
        assert np.linalg.norm(matrix, 2) <= map_norm(stage, kernel)


POOLS = [MaxPool(kernel=(2, 3), stride=(2, 2)), AveragePool(kernel=(3, 2), stride=(1, 2)), GlobalMaxPool()]


@pytest.mark.parametrize("layer", POOLS, ids=str)
def test_pools_their_differences_and_adjoints(layer):
    stage = stage_of(layer)
    rng = np.random.default_rng(0)
    x, dx = (rng.standard_normal((*stage.input, 2)) for _ in range(2))
    twin = [np.stack([pooled(stage, a[..., c]) for c in range(2)], axis=-1) for a in (x, x + dx)]
    assert np.allclose(maps.pool(stage, x), twin[0])
    assert np.allclose(maps.pool_difference(stage, x, dx), twin[1] - twin[0])
    tiny = 1e-12 * dx
    exact = np.sum(maps.pool_difference(stage, x, tiny) * twin[0])
    assert exact == pytest.approx(np.sum(tiny * maps.pool_adjoint(stage, x, twin[0])), rel=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.floats(-14, 0), st.booleans())
def test_errors_of_pools_are_bounded_whatever_wins(seed, exponent, close):
    rng = np.random.default_rng(seed)
    layer = POOLS[seed % 3]
    stage = stage_of(layer)
    x, dx = rng.standard_normal((*stage.input, 1)), 0.1 * rng.standard_normal((*stage.input, 1))
    if close:
        x = np.round(x)
    size = 10.0**exponent
    ex, edx = size * rng.random(x.shape), size * rng.random(x.shape)
    true_x, true_dx = x + ex * rng.uniform(-1, 1, x.shape), dx + edx * rng.uniform(-1, 1, x.shape)
    bounds = maps.pool_errors(stage, (x, ex), (dx, edx), 1e-14)
    assert np.all(np.abs(maps.pool(stage, true_x) - maps.pool(stage, x)) <= bounds[0] + 1e-15)
    moved = maps.pool_difference(stage, true_x, true_dx) - maps.pool_difference(stage, x, dx)
    assert np.all(np.abs(moved) <= bounds[1] + 1e-15)


def pair_of(chain, activation, seed=0):
    target, other = (filled(chain, activation, np.float64, s) for s in (seed, seed + 1))
    mixed = [
        tuple(a + 0.1 * b for a, b in zip(x, y, strict=True))
        for x, y in ((target.weights, other.weights), (target.biases, other.biases))
    ]
    pruned = TrainedNetwork(weights=mixed[0], biases=mixed[1], origin="p", chain=target.chain, activation=activation)
    return target, pruned, ExplicitPair.of(target, pruned)


CHAINS = [
    Chain(input=(4,), layers=(Dense(width=6), Dense(width=5), Dense(width=3))),
    Chain(
        input=(2, 5, 6),
        layers=(
            AveragePool(kernel=(1, 2), stride=(1, 1)),
            Conv2d(channels=4, kernel=(3, 2), padding=(1, 1), groups=2),
            MaxPool(kernel=(2, 2), stride=(2, 1)),
            Conv2d(channels=3, kernel=(1, 3), padding=(0, 1), circular=True),
            GlobalMaxPool(),
            Flatten(),
            Dense(width=3),
        ),
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS, ids=["matrices", "images"])
@pytest.mark.parametrize("activation", [ReLU(), Tanh()], ids=lambda a: a.name)
def test_gaps_and_gradients(chain, activation):
    target, pruned, pair = pair_of(chain, activation)
    width = target.widths[0]
    ops = ExplicitOps(pair=pair, ball=Ball(center=np.linspace(-1, 1, width), radius=0.7))
    u = np.random.default_rng(3).standard_normal((1, width, 4)) / width
    passed = ops.forward(u)
    gaps, gradient = ops.gap_and_gradient(u, None)
    inputs = ops.ball.center[:, None] + 0.7 * u[0]
    values = [output(net, activation, x) for x in inputs.T for net in (target, pruned)]
    wanted = [np.linalg.norm(f - full) for full, f in zip(values[::2], values[1::2], strict=True)]
    assert np.allclose(gaps[0], wanted, rtol=1e-10)
    assert np.allclose(ops.output_norms(passed)[0], [np.linalg.norm(v) for v in values[::2]], rtol=1e-10)
    for rise, gradients in (
        (lambda v: ops.gap_and_gradient(v, None)[0], gradient),
        (_norms(ops), ops.output_gradient(passed)),
    ):
        direction = np.random.default_rng(4).standard_normal((1, width, 4))
        step = 1e-6
        numeric = (rise(u + step * direction) ** 2 - rise(u - step * direction) ** 2)[0] / (4 * step * 0.7)
        assert np.allclose(np.sum(gradients * direction, axis=1)[0], numeric, rtol=1e-5, atol=1e-7)


def _norms(ops):
    return lambda v: ops.output_norms(ops.forward(v))


def exact_gap_square(target, pruned, x):
    """||f(x) - F(x)||^2 of ReLU networks of matrices in rational numbers."""

    def run(network):
        values = [Fraction(v) for v in x]
        for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            rows = zip(weight.tolist(), bias.tolist(), strict=True)
            values = [sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b)) for row, b in rows]
            if layer < len(network.weights) - 1:
                values = [max(v, Fraction(0)) for v in values]
        return values

    return sum((a - b) ** 2 for a, b in zip(run(target), run(pruned), strict=True))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(-16, 1))
def test_the_rounding_error_bound_covers_the_exact_gap(seed, exponent):
    rng = np.random.default_rng(seed)
    target = filled(CHAINS[0], ReLU(), np.float64, seed)
    moved = [
        tuple(a * (1 + 10.0**exponent * rng.standard_normal(a.shape)) for a in part)
        for part in (target.weights, target.biases)
    ]
    pruned = TrainedNetwork(weights=moved[0], biases=moved[1], origin="p", activation=ReLU())
    ops = ExplicitOps(pair=ExplicitPair.of(target, pruned), ball=Ball(center=np.zeros(4), radius=1.0))
    x = rng.standard_normal(4)
    gap, noise = (Fraction(float(a[0])) for a in ops.gap_at(x))
    exact = exact_gap_square(target, pruned, x.tolist())
    assert max(gap - noise, 0) ** 2 <= exact <= (gap + noise) ** 2


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_differences_are_split_exactly(old, new):
    parts = Parts.of([np.array([old])], [np.array([new])])
    assert Fraction(float(parts.moves[0][0])) + Fraction(float(parts.rest[0][0])) == Fraction(new) - Fraction(old)


@given(st.integers(0, 10**6), st.floats(0, 1e3), st.floats(0, 1e8))
def test_points_lie_in_their_ball(seed, radius, far):
    rng = np.random.default_rng(seed)
    ball = Ball(center=far * rng.standard_normal(5), radius=radius)
    direction = rng.standard_normal(5)
    x = ball.point(direction / np.linalg.norm(direction))
    away = sum((Fraction(float(a)) - Fraction(float(c))) ** 2 for a, c in zip(x, ball.center, strict=True))
    assert away <= Fraction(radius) ** 2


def test_an_endless_ball_is_refused():
    with pytest.raises(InputError, match="radius must be finite"):
        Ball(center=np.zeros(2), radius=np.inf)
    with pytest.raises(InputError, match="center must be one finite input"):
        Ball(center=np.array([np.nan]))
