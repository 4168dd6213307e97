"""Train the 64-64-32-10 ReLU network of data/networks/digits_mlp.npz on the digits bundled with scikit-learn.

    python scripts/train_digits.py [OUTPUT]

Images (8 x 8 pixels of 0..16) are divided by 80, so that each has norm below 1 and lies in the unit ball over which the
gap is taken. Adam on the cross-entropy in float64, seeded; equal library versions on one machine give equal bytes.
The data are the test part of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998).
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import write_npz

WIDTHS = (64, 64, 32, 10)
PIXEL_SCALE = 80.0
N_TEST = 360
EPOCHS = 60
BATCH = 32
DECAY = 1e-3
SEED = 20260301
OUTPUT = Path(__file__).parent.parent / "data" / "networks" / "digits_mlp.npz"


def forward(weights, biases, x):
    """Return the hidden vectors ``[n, d_l]``, input first, and the outputs ``[n, 10]``."""
    hidden = [x]
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        hidden.append(np.maximum(hidden[-1] @ weight.T + bias, 0.0))
    return hidden, hidden[-1] @ weights[-1].T + biases[-1]


def gradients(weights, biases, x, labels):
    """Return the gradients of the mean cross-entropy, weights first, then biases."""
    hidden, logits = forward(weights, biases, x)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    adjoint = shares / shares.sum(axis=1, keepdims=True)
    adjoint[np.arange(len(x)), labels] -= 1.0
    adjoint /= len(x)
    by_weight, by_bias = [], []
    for layer in reversed(range(len(weights))):
        by_weight.append(adjoint.T @ hidden[layer] + DECAY * weights[layer])
        by_bias.append(adjoint.sum(axis=0))
        adjoint = (adjoint @ weights[layer]) * (hidden[layer] > 0.0)
    return by_weight[::-1] + by_bias[::-1]


def train(x, labels):
    """Return trained weights ``[d_l, d_(l-1)]`` and biases ``[d_l]``."""
    rng = np.random.default_rng(SEED)
    shapes = list(zip(WIDTHS[1:], WIDTHS[:-1], strict=True))
    arrays = [rng.normal(0.0, np.sqrt(2.0 / d_in), (d_out, d_in)) for d_out, d_in in shapes]
    arrays += [np.zeros(d_out) for d_out, _ in shapes]
    first, second = [np.zeros_like(a) for a in arrays], [np.zeros_like(a) for a in arrays]
    depth, n_steps = len(shapes), 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(x))
        rate = 3e-3 * (1.0 - epoch / EPOCHS)
        for at in range(0, len(x), BATCH):
            rows = order[at : at + BATCH]
            n_steps += 1
            slopes = gradients(arrays[:depth], arrays[depth:], x[rows], labels[rows])
            for i, slope in enumerate(slopes):
                first[i] += 0.1 * (slope - first[i])
                second[i] += 0.001 * (slope**2 - second[i])
                mean, size = first[i] / (1.0 - 0.9**n_steps), np.sqrt(second[i] / (1.0 - 0.999**n_steps))
                arrays[i] -= rate * mean / (size + 1e-8)
    return arrays[:depth], arrays[depth:]


def accuracy(weights, biases, x, labels):
    """Return the share of images whose largest output is the right one."""
    return float(np.mean(forward(weights, biases, x)[1].argmax(axis=1) == labels))


def main(output):
    images, labels = load_digits(return_X_y=True)
    images = images / PIXEL_SCALE
    order = np.random.default_rng(SEED).permutation(len(images))
    test, rest = order[:N_TEST], order[N_TEST:]
    weights, biases = train(images[rest], labels[rest])
    network = TrainedNetwork(
        weights=tuple(w.astype(np.float32) for w in weights),
        biases=tuple(b.astype(np.float32) for b in biases),
        origin=str(output),
    )
    write_npz(output, network)
    print(f"largest norm of an image: {np.linalg.norm(images, axis=1).max():.3f}")
    print(f"accuracy on {len(rest)} training images: {accuracy(weights, biases, images[rest], labels[rest]):.4f}")
    print(f"accuracy on {len(test)} test images: {accuracy(weights, biases, images[test], labels[test]):.4f}")
    print(f"spectral norms: {', '.join(f'{np.linalg.norm(w, 2):.2f}' for w in weights)}")
    print(f"wrote {output}, sha256 of the weights {network.sha256}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
