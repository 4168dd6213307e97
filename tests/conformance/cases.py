"""Builders of small points and the one-line run of a backend."""

import numpy as np

from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import ReLU
from simprune.model.chain import Chain
from simprune.model.distributions import Uniform
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, MaxPool
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning
from simprune.trained.network import TrainedNetwork

BOTH = (Ascent(restarts=8, steps=30, keep_witness=True), Spectral())


def point(
    widths=(),
    *,
    chain=None,
    activation=None,
    law=None,
    rule=None,
    estimators=BOTH,
    seed=7,
    precision="float32",
    trained=None,
):
    """A point on a sampled target, or on the fixed target ``trained``."""
    target = SampledTarget(distribution=law or Uniform()) if trained is None else FixedTarget(sha256=trained.sha256)
    return Point(
        network=NetworkSpec(widths=widths, chain=chain, activation=activation or ReLU(), target=target),
        rule=rule or MagnitudePruning(alpha=0.3),
        estimators=estimators,
        seed=seed,
        precision=precision,
    )


def columns(backend, *points, stop, first=0, trained=None):
    """Columns of trials ``first .. stop - 1`` of each point."""
    batches = backend.run(Block(points=points, first=first, stop=stop, trained=trained))
    return [batch.columns for batch in batches]


def trained_network(widths, *, seed=3, bias=0.3, levels=None):
    """A made-up trained network; ``levels`` rounds the weights to that many steps, so that magnitudes tie heavily."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(o, i)) / np.sqrt(i) for o, i in zip(widths[1:], widths[:-1], strict=True)]
    if levels is not None:
        weights = [np.round(w * levels) / levels for w in weights]
    biases = tuple((bias * rng.normal(size=o)).astype(np.float32) for o in widths[1:])
    return TrainedNetwork(weights=tuple(w.astype(np.float32) for w in weights), biases=biases, origin="made up")


SMALL_CNN = Chain(
    input=(2, 7, 6),
    layers=(
        Conv2d(channels=4, kernel=(3, 3), padding=(1, 1)),
        MaxPool(kernel=(2, 2), stride=(2, 1)),
        Conv2d(channels=6, kernel=(2, 3), stride=(1, 2), groups=2),
        AveragePool(kernel=(2, 1), stride=(1, 1)),
        Flatten(),
        Dense(width=3),
    ),
)


def trained_cnn(chain=SMALL_CNN, *, seed=3, bias=0.3, activation=None, levels=None):
    """A made-up trained network with convolutions; ``levels`` as in ``trained_network``."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=s.weight_shape) / np.sqrt(s.matrix_shape[1]) for s in chain.weighted]
    if levels is not None:
        weights = [np.round(w * levels) / levels for w in weights]
    return TrainedNetwork(
        weights=tuple(w.astype(np.float32) for w in weights),
        biases=tuple((bias * rng.normal(size=len(w))).astype(np.float32) for w in weights),
        origin="made up",
        chain=chain,
        activation=activation,
    )
