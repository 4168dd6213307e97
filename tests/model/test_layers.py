"""Shapes of layers and chains, their sizes and scales, and the sentences about mistakes."""

import math

import numpy as np
import pytest

from simprune.model.activations import Identity, ReLU
from simprune.model.chain import Chain
from simprune.model.distributions import Uniform
from simprune.model.errors import InputError
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, GlobalAveragePool, GlobalMaxPool, MaxPool, conv1d
from simprune.model.network import NetworkSpec, SampledTarget

TARGET = SampledTarget(distribution=Uniform(K=2.0))
CNN = Chain(
    input=(2, 9, 8),
    layers=(
        Conv2d(channels=6, kernel=(3, 3), padding=(1, 1)),
        MaxPool(kernel=(2, 2), stride=(2, 2)),
        Conv2d(channels=4, kernel=(3, 2), stride=(2, 1), groups=2),
        GlobalAveragePool(),
        Flatten(),
        Dense(width=5),
    ),
)


def spec(chain, activation=None):
    return NetworkSpec(chain=chain, activation=activation or ReLU(), target=TARGET)


def test_shapes_of_a_convolutional_network():
    network = spec(CNN)
    assert [stage.output for stage in network.stages] == [(6, 9, 8), (6, 4, 4), (4, 1, 3), (4, 1, 1), (4,), (5,)]
    assert network.widths == (144, 432, 12, 5)
    assert (network.depth, network.input_shape) == (3, (2, 9, 8))
    assert network.weight_shapes == ((6, 2, 3, 3), (4, 3, 3, 2), (5, 4))
    assert network.shapes == ((6, 18), (4, 18), (5, 4))
    assert network.n_weights == (108, 72, 20)
    assert network.bias_shapes == ((6,), (4,), (5,))
    assert [stage.positions for stage in network.weighted] == [72, 3, 1]


def test_the_scale_is_k_over_the_root_of_channels_times_taps():
    assert spec(CNN).scales == pytest.approx([2 / math.sqrt(6 * 9), 2 / math.sqrt(3 * 6), 2 / math.sqrt(5)], rel=1e-15)


def test_pooling_factors_stand_behind_their_weighted_layer():
    assert spec(CNN).pool_factors == pytest.approx([1, 1, math.sqrt(1 / 3), 1], rel=1e-14)
    chain = Chain(input=(1, 18, 16), layers=(AveragePool(kernel=(2, 2), stride=(2, 2)), *CNN.layers))
    assert spec(chain).pool_factors == pytest.approx([1 / 2, 1, math.sqrt(1 / 3), 1], rel=1e-14)


@pytest.mark.parametrize("pool", [AveragePool, MaxPool])
@pytest.mark.parametrize("size", [1, 2, 4, 7, 9])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (2, 2), (3, 2), (3, 1), (2, 3), (4, 3)])
def test_lipschitz_constants_of_pooling_bound_the_matrix_or_the_multiplicity(pool, size, kernel, stride):
    if kernel > size:
        return
    layer = pool(kernel=(kernel, 1), stride=(stride, 1))
    _, n_out, _ = layer.output_shape((1, size, 1))
    windows = np.zeros((n_out, size))
    for i in range(n_out):
        windows[i, i * stride : i * stride + kernel] = 1.0
    found = layer.lipschitz((1, size, 1))
    if pool is MaxPool:
        assert found**2 >= windows.sum(axis=0).max() * (1 - 1e-12)
    else:
        assert found >= np.linalg.norm(windows / kernel, 2) * (1 - 1e-12)
    if stride >= kernel:
        assert found == pytest.approx(1.0 if pool is MaxPool else 1.0 / math.sqrt(kernel), rel=1e-12)


def test_a_chain_of_dense_layers_is_the_network_of_its_widths():
    chain = Chain(input=(1, 2, 3), layers=(Flatten(), Dense(width=5), Dense(width=2)))
    plain = NetworkSpec(widths=(6, 5, 2), activation=ReLU(), target=TARGET)
    assert spec(chain) == plain
    assert plain.to_dict()["widths"] == [6, 5, 2]
    assert "layers" not in plain.to_dict()


@pytest.mark.parametrize("layers", [CNN.layers, (*CNN.layers[:4],), (conv1d(3, 3), GlobalMaxPool())])
def test_a_network_with_layers_comes_back_from_its_json_form(layers):
    network = spec(Chain(input=(2, 9, 8), layers=layers))
    assert NetworkSpec.from_dict(network.to_dict()) == network
    assert hash(NetworkSpec.from_dict(network.to_dict())) == hash(network)


def test_maxima_are_not_linear():
    assert spec(Chain(input=(1, 4, 4), layers=(conv1d(2, 3), conv1d(2, 2))), Identity()).is_linear
    assert not spec(Chain(input=(1, 4, 4), layers=(conv1d(2, 3), GlobalMaxPool())), Identity()).is_linear


def test_a_one_dimensional_convolution_has_height_one():
    assert conv1d(3, 5, stride=2, padding=2, groups=2 - 1).output_shape((4, 1, 20)) == (3, 1, 10)
    assert conv1d(4, 3, circular=True, padding=1).output_shape((1, 1, 2)) == (4, 1, 2)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Dense(width=0), r"width of a dense layer must be a whole number in 1\.\.2\^40, got 0"),
        (lambda: Dense(width=True), "got True"),
        (lambda: Conv2d(channels=4, kernel=(3,)), "kernel of a convolution must be two numbers"),
        (lambda: Conv2d(channels=4, kernel=(3, 0)), "kernel of a convolution must be a whole number"),
        (lambda: Conv2d(channels=4, kernel=(3, 3), groups=3), "channels must be a multiple of groups, got 4 and 3"),
        (lambda: Conv2d(channels=4, kernel=(3, 3), padding=(3, 0)), "padding must be less than the kernel"),
        (lambda: Conv2d(channels=4, kernel=(3, 3), padding=(2, 1), circular=True), "circular padding must be at most"),
        (lambda: Conv2d(channels=4, kernel=(3, 3), circular=1), "circular must be true or false"),
        (lambda: MaxPool(kernel=(2, 2), stride=(0, 1)), "stride of a pooling layer"),
        (lambda: Chain(input=(4, 4), layers=(Dense(width=1),)), r"input must be \[n\] or \[channels, height, width\]"),
        (lambda: Chain(input=(4,), layers=(Flatten(),)), "must have a layer with weights"),
        (lambda: Chain(input=(1, 4, 4), layers=(Dense(width=1),)), r"layers\[0\] on \[1, 4, 4\]: .* put flatten before"),
        (lambda: Chain(input=(9,), layers=(GlobalMaxPool(), Dense(width=1))), "pooling must have an image"),
        (lambda: Chain(input=(3, 4, 4), layers=(Conv2d(channels=2, kernel=(1, 1), groups=2),)), "input channels must be"),
        (lambda: Chain(input=(1, 4, 4), layers=(Conv2d(channels=2, kernel=(5, 1)),)), "the kernel must fit .* got 5 on 4"),
        (lambda: Chain(input=(1 << 39, 4, 4), layers=(conv1d(2, 1),)), None),
        (lambda: Chain(input=(1, 1 << 20, 1 << 20), layers=(conv1d(2, 1),)), r"at most 2\^40 outputs"),
    ],
)
def test_mistakes_are_told_in_a_sentence(build, sentence):
    if sentence is None:
        build()
        return
    with pytest.raises(InputError, match=sentence):
        build()
