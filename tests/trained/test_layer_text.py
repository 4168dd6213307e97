"""Trained networks with layers: what they check, their digests, and their files."""

import json

import numpy as np
import pytest

from simprune.model.activations import LeakyReLU, ReLU
from simprune.model.chain import Chain
from simprune.model.errors import InputError
from simprune.model.layers import Dense, Flatten
from simprune.trained.layer_text import layer_text, parse_layer_text
from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import read_npz, write_npz
from tests.conformance.cases import SMALL_CNN, trained_cnn, trained_network

GOOD = json.loads(layer_text(trained_cnn(activation=ReLU())))


def test_a_file_brings_back_every_bit(tmp_path):
    network = trained_cnn(activation=LeakyReLU(slope=0.2))
    write_npz(tmp_path / "n.npz", network)
    again = read_npz(tmp_path / "n.npz")
    assert (again.chain, again.activation, again.sha256) == (network.chain, network.activation, network.sha256)
    for found, wanted in zip((*again.weights, *again.biases), (*network.weights, *network.biases), strict=True):
        assert found.dtype == wanted.dtype
        assert found.tobytes() == wanted.tobytes()


def test_the_digest_knows_the_layers():
    network = trained_cnn()
    layers = (*SMALL_CNN.layers[:3], *SMALL_CNN.layers[4:])
    with pytest.raises(InputError, match=r"W2 of made up must have shape \(3, 24\), as its layers say, got \(3, 12\)"):
        TrainedNetwork(
            weights=network.weights, biases=network.biases, origin="made up", chain=Chain(input=(2, 7, 6), layers=layers)
        )
    wide = trained_cnn(Chain(input=(2, 7, 6), layers=(SMALL_CNN.layers[0],)))
    tall = trained_cnn(Chain(input=(2, 6, 7), layers=(SMALL_CNN.layers[0],)))
    assert wide.weights[0].tobytes() == tall.weights[0].tobytes()
    assert wide.sha256 != tall.sha256
    assert wide.spec(ReLU()).target.sha256 == wide.sha256


def test_a_chain_of_matrices_is_a_plain_network_with_its_old_digest():
    plain = trained_network((6, 5, 2))
    chain = Chain(input=(1, 2, 3), layers=(Flatten(), Dense(width=5), Dense(width=2)))
    same = TrainedNetwork(weights=plain.weights, biases=plain.biases, origin="x", chain=chain, activation=ReLU())
    assert (same.sha256, same.chain) == (plain.sha256, None)
    assert same.spec() == plain.spec(ReLU())
    assert layer_text(plain) is None
    assert parse_layer_text(layer_text(same), origin="x") == (plain.layers, ReLU())


def test_biases_count_at_every_position():
    network = trained_cnn()
    positions = [stage.positions for stage in SMALL_CNN.weighted]
    wanted = [np.linalg.norm(np.repeat(b, n)) for b, n in zip(network.biases, positions, strict=True)]
    np.testing.assert_allclose(network.bias_norms, wanted, rtol=1e-6)


def test_an_activation_must_be_known_from_somewhere():
    with pytest.raises(InputError, match="the activation of made up must be known, got none in the file; name it"):
        trained_cnn().spec()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "got text that cannot be parsed"),
        ("[" * 100_000, "got text that cannot be parsed"),
        ("[]", "got no object with the lists input and layers"),
        (json.dumps(GOOD | {"x": 1}), "got the unknown key 'x'"),
        (json.dumps(GOOD | {"layers": [{"name": "conv3d"}]}), "layer must be a known name, got 'conv3d'"),
        (json.dumps(GOOD | {"layers": ["dense"]}), "the layer must be an object with a name"),
        (json.dumps(GOOD | {"layers": [{"name": "dense"}]}), "dense must have the key 'width'"),
        (json.dumps(GOOD | {"layers": [{"name": "dense", "width": 3, "heads": 2}]}), "known keys, got 'heads'"),
        (json.dumps(GOOD | {"layers": [{"name": "dense", "width": "3"}]}), "must be a whole number"),
        (json.dumps(GOOD | {"layers": [{"name": "dense", "width": None}]}), "must be a whole number"),
        (json.dumps(GOOD | {"layers": [{"name": "flatten"}] * 2000}), "got more than 1000 layers"),
        (json.dumps(GOOD | {"input": ["a", 2, 3]}), "every size of the input must be a whole number"),
        (json.dumps(GOOD | {"input": []}), "input must be"),
        (
            json.dumps(GOOD | {"activation": {"name": "leaky_relu", "slope": "steep"}}),
            "slope of leaky_relu must be a number",
        ),
        (json.dumps(GOOD | {"activation": {"name": "softmax"}}), "activation must be a known name, got 'softmax'"),
        (json.dumps(GOOD | {"activation": 3}), "the activation must be an object"),
    ],
)
def test_bad_texts_end_in_a_sentence(text, sentence):
    with pytest.raises(InputError) as told:
        parse_layer_text(text, origin="n.npz")
    assert sentence in str(told.value)
    assert str(told.value).startswith('"layers" of n.npz must be JSON')


@pytest.mark.parametrize("layers", [np.array(["a", "b"]), np.array(b"{}"), np.array("x" * 70_000), np.float64(3)])
def test_a_layers_array_that_is_no_text_is_refused(tmp_path, layers):
    network = trained_cnn()
    np.savez(tmp_path / "n.npz", W0=network.weights[0], layers=layers)
    with pytest.raises(InputError, match=r"layers of .* must be one text"):
        read_npz(tmp_path / "n.npz")
