"""Small networks for the tests of files, with weights that hit signed zeros, subnormals and exact ties."""

from typing import Any

import numpy as np

from simprune.model.activations import AbstractActivation, LeakyReLU, ReLU, Tanh
from simprune.model.chain import Chain
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, GlobalAveragePool, GlobalMaxPool, MaxPool
from simprune.trained.network import TrainedNetwork


def filled(chain: Chain, activation: AbstractActivation | None, dtype: Any = np.float32, seed: int = 0) -> TrainedNetwork:
    """A network with normal weights on a chain."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(stage.weight_shape).astype(dtype) for stage in chain.weighted]
    for weight in weights:
        weight.flat[:3] = [-0.0, np.finfo(dtype).smallest_subnormal, weight.flat[-1]][: weight.size]
    biases = [rng.standard_normal(w.shape[0]).astype(dtype) for w in weights]
    return TrainedNetwork(weights=tuple(weights), biases=tuple(biases), origin="test", chain=chain, activation=activation)


def mlp(*, dtype: Any = np.float32, activation: AbstractActivation | None = None, seed: int = 0) -> TrainedNetwork:
    """A fully connected network 5-7-6-3."""
    chain = Chain(input=(5,), layers=(Dense(width=7), Dense(width=6), Dense(width=3)))
    return filled(chain, activation or ReLU(), dtype, seed)


def cnn(*, dtype: Any = np.float32, last: int = 0) -> TrainedNetwork:
    """A network with convolutions, groups, strides, padding and every kind of pooling."""
    end = (GlobalAveragePool(), GlobalMaxPool(), AveragePool(kernel=(2, 1), stride=(1, 1)))[last]
    layers = (
        Conv2d(channels=4, kernel=(3, 3), padding=(1, 1)),
        MaxPool(kernel=(2, 2), stride=(2, 1)),
        Conv2d(channels=6, kernel=(3, 2), stride=(1, 2), groups=2),
        end,
        Flatten(),
        Dense(width=5),
    )
    return filled(Chain(input=(2, 8, 8), layers=layers), (Tanh(), LeakyReLU(slope=0.25), ReLU())[last], dtype)
