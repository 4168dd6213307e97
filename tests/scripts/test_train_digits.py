"""The shipped network is what the script trains."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from simprune.trained.npz import read_npz

ROOT = Path(__file__).parent.parent.parent
SHIPPED = ROOT / "data" / "networks" / "digits_mlp.npz"


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("train_digits", ROOT / "scripts" / "train_digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_network_reads_digits(script):
    network = read_npz(SHIPPED)
    assert network.widths == (64, 64, 32, 10)
    assert all(w.dtype == np.float32 for w in (*network.weights, *network.biases))
    images, labels = script.load_digits(return_X_y=True)
    images = images / script.PIXEL_SCALE
    assert np.linalg.norm(images, axis=1).max() < 1.0
    held_out = np.random.default_rng(script.SEED).permutation(len(images))[: script.N_TEST]
    assert script.accuracy(network.weights, network.biases, images[held_out], labels[held_out]) > 0.95


def test_the_gradients_of_the_training_are_right(script):
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(4, 3)), rng.normal(size=(2, 4))]
    biases = [rng.normal(size=4), rng.normal(size=2)]
    x, labels = rng.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])

    def loss():
        logits = script.forward(weights, biases, x)[1]
        entropy = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(6), labels]
        return entropy.mean() + 0.5 * script.DECAY * sum(np.sum(w**2) for w in weights)

    slopes = script.gradients(weights, biases, x, labels)
    for array, slope in zip([*weights, *biases], slopes, strict=True):
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + 1e-6
            above = loss()
            array[index] = kept - 1e-6
            below = loss()
            array[index] = kept
            assert slope[index] == pytest.approx((above - below) / 2e-6, abs=1e-7)


@pytest.mark.slow
def test_training_again_gives_the_shipped_network(script, tmp_path):
    """Close, not equal: another BLAS rounds another way, and 2700 steps carry that along."""
    script.main(tmp_path / "again.npz")
    again, shipped = read_npz(tmp_path / "again.npz"), read_npz(SHIPPED)
    for found, wanted in zip(again.weights, shipped.weights, strict=True):
        np.testing.assert_allclose(found, wanted, atol=0.05)
