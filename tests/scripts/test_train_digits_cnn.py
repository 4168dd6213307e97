"""The shipped convolutional networks: one network in three formats, i.i.d. at first, trained at last, made by the script."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from simprune.assumptions.check import check_assumptions
from simprune.trained.formats import read_network, read_weights

ROOT = Path(__file__).parent.parent.parent
NETWORKS = ROOT / "data" / "networks"
PIXEL_SCALE, N_TEST, SEED = 80.0, 360, 20260302


def forward(network, images):
    """Plain NumPy: images ``[n, 8, 8]`` to outputs ``[n, 10]``."""
    (k0, k1, w2, w3), (b0, b1, b2, b3) = network.weights, network.biases
    hidden = pooled(convolved(images[:, None], k0, b0))
    hidden = pooled(convolved(hidden, k1, b1)).reshape(len(images), -1)
    return np.maximum(hidden @ w2.T + b2, 0.0) @ w3.T + b3


def convolved(x, kernel, bias):
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros((len(x), len(kernel), height, width)) + bias[:, None, None]
    for i in range(3):
        for j in range(3):
            total += np.einsum("oc,nchw->nohw", kernel[:, :, i, j], padded[:, :, i : i + height, j : j + width])
    return np.maximum(total, 0.0)


def pooled(x):
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))


def accuracy(network):
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    images, labels = load_digits(return_X_y=True)
    held_out = np.random.default_rng(SEED).permutation(len(images))[:N_TEST]
    outputs = forward(network, (images[held_out] / PIXEL_SCALE).reshape(-1, 8, 8))
    return float(np.mean(outputs.argmax(axis=1) == labels[held_out]))


def shipped(name):
    return read_network(NETWORKS / name)


def failed(name):
    weights = {weight.name: weight.values for weight in read_weights(NETWORKS / name)}
    return [[step.needs for step in layer.failed] for layer in check_assumptions(weights, replicates=239).layers]


def test_one_network_in_three_formats():
    pytest.importorskip("onnx")
    assert len({shipped(f"digits_cnn.{kind}").sha256 for kind in ("npz", "onnx", "safetensors")}) == 1
    assert sum(w.size for w in shipped("digits_cnn.npz").weights) == 13_584


def test_training_teaches_digits():
    assert accuracy(shipped("digits_cnn_initial.npz")) < 0.2
    assert accuracy(shipped("digits_cnn.npz")) > 0.95


def test_initial_weights_are_iid_and_trained_ones_are_not():
    assert failed("digits_cnn_initial.npz") == [[], [], [], []]
    assert all("weights are independent" in steps for steps in failed("digits_cnn.npz"))


def test_the_script_starts_from_the_shipped_initial_weights():
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("train_digits_cnn", ROOT / "scripts" / "train_digits_cnn.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.as_network(script.fresh(), "fresh").sha256 == shipped("digits_cnn_initial.npz").sha256
