"""The typical gap against simulated networks, and what it refuses."""

import numpy as np
import pytest

from simprune.model.activations import Identity, LeakyReLU, ReLU, Tanh
from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.theory.typical import typical_gap

DRAW = {
    "uniform": lambda rng, size: rng.uniform(-1, 1, size),
    "gaussian": lambda rng, size: rng.standard_normal(size),
    "laplace": lambda rng, size: rng.laplace(size=size) / np.sqrt(2.0),
    "rademacher": lambda rng, size: rng.choice([-1.0, 1.0], size),
}


def simulated(net, rule, n, rng):
    squares = []
    for _ in range(n):
        x = rng.standard_normal((net.widths[0], 8))
        full = kept = x / np.linalg.norm(x, axis=0)
        for layer, shape in enumerate(net.shapes):
            w = net.distribution.scale(*shape) * DRAW[net.distribution.name](rng, shape)
            ranks = (rng.random(w.size) if rule.is_random else np.abs(w).ravel()).argsort(kind="stable").argsort()
            mask = (ranks >= rule.n_pruned(w.size, layer)).reshape(shape)
            full, kept = w @ full, (w * mask) @ kept
            if layer < net.depth - 1:
                slope = net.activation.parameter if not net.activation.is_linear else 1.0
                full, kept = (np.where(h > 0, h, slope * h) for h in (full, kept))
        squares.append(np.mean(np.sum((full - kept) ** 2, axis=0)))
    return np.sqrt(np.mean(squares))


@pytest.mark.parametrize("law", [Uniform(), Gaussian(), Laplace(), Rademacher()], ids=lambda law: law.name)
@pytest.mark.parametrize("activation", [Identity(), ReLU(), LeakyReLU(slope=0.3)], ids=lambda a: a.name)
def test_simulated_gaps_at_random_inputs(law, activation):
    rng = np.random.default_rng(7)
    for widths, rule in (((96, 96, 96), MagnitudePruning(alpha=0.4)), ((60, 120, 80, 30), RandomPruning(alpha=0.6))):
        if law.name == "rademacher" and not rule.is_random:
            continue
        net = NetworkSpec(widths=widths, activation=activation, target=SampledTarget(distribution=law))
        # sampling error about 2 %, first order about 4 %
        assert typical_gap(net, rule) == pytest.approx(simulated(net, rule, 60, rng), rel=0.1)


def test_no_formula_no_number():
    target = SampledTarget(distribution=Uniform())
    assert typical_gap(NetworkSpec(widths=(4, 4, 4), activation=Tanh(), target=target), RandomPruning(alpha=0.5)) is None
    trained = NetworkSpec(widths=(4, 4), activation=ReLU(), target=FixedTarget(sha256="ab" * 32))
    assert typical_gap(trained, RandomPruning(alpha=0.5)) is None


def test_nothing_pruned_moves_nothing():
    net = NetworkSpec(widths=(9, 9, 9), activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    assert typical_gap(net, MagnitudePruning(pruned_fraction=0.0)) == 0.0
