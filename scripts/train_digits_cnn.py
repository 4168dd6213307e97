"""Train the small convolutional network of data/networks/digits_cnn.* on scikit-learn's digits, with checkpoints.

    python scripts/train_digits_cnn.py [FOLDER]        # needs the extra [torch]

16 and 32 channels of 3 x 3 kernels, each with ReLU and max pooling, then 64 hidden neurons; 13 584 weights. Initial weights
are PyTorch's: i.i.d. uniform, +-1 / sqrt(fan-in). Written: digits_cnn_initial.npz (before any step), digits_cnn_early.npz
(after one epoch), digits_cnn.npz, .onnx and .safetensors (after the last). Images as in train_digits.py: divided by 80, so
that they lie in the unit ball. Adam on the cross-entropy, float32, seeded, one thread: equal library versions on one machine
give equal bytes.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from simprune.model.activations import ReLU
from simprune.model.chain import Chain
from simprune.model.layers import Conv2d, Dense, Flatten, MaxPool
from simprune.trained.formats import write_network
from simprune.trained.network import TrainedNetwork

CHANNELS = (16, 32)
HIDDEN = 64
PIXEL_SCALE = 80.0
N_TEST = 360
EPOCHS = 40
EARLY = 1
BATCH = 32
RATE = 2e-3
SEED = 20260302
FOLDER = Path(__file__).parent.parent / "data" / "networks"
CHAIN = Chain(
    input=(1, 8, 8),
    layers=(
        Conv2d(channels=CHANNELS[0], kernel=(3, 3), padding=(1, 1)),
        MaxPool(kernel=(2, 2), stride=(2, 2)),
        Conv2d(channels=CHANNELS[1], kernel=(3, 3), padding=(1, 1)),
        MaxPool(kernel=(2, 2), stride=(2, 2)),
        Flatten(),
        Dense(width=HIDDEN),
        Dense(width=10),
    ),
)


def images():
    """Return (x ``[n, 1, 8, 8]``, labels ``[n]``) of the training images, and of the test images."""
    x, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(x))
    pixels = torch.tensor((x / PIXEL_SCALE).reshape(-1, 1, 8, 8)[order], dtype=torch.float32)
    digits = torch.tensor(labels[order])
    return (pixels[N_TEST:], digits[N_TEST:]), (pixels[:N_TEST], digits[:N_TEST])


def fresh():
    """Return the network with its initial weights."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS[0], 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(*CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * CHANNELS[1], HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, 10),
    )


def train(model, data, *, epochs=EPOCHS, after_epoch=lambda epoch: None):
    """Train in place; ``after_epoch(e)`` is called after epoch e = 1, 2, ..."""
    x, labels = data
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    order = torch.Generator().manual_seed(SEED)
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(x), generator=order).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimiser.step()
        after_epoch(epoch)


def accuracy(model, data):
    """Return the share of images whose largest output is the right one."""
    with torch.no_grad():
        return float((model(data[0]).argmax(dim=1) == data[1]).double().mean())


def as_network(model, origin):
    """Return the weights as simprune's network."""
    layers = [layer for layer in model if hasattr(layer, "weight")]
    return TrainedNetwork(
        weights=tuple(layer.weight.detach().numpy().copy() for layer in layers),
        biases=tuple(layer.bias.detach().numpy().copy() for layer in layers),
        origin=str(origin),
        chain=CHAIN,
        activation=ReLU(),
    )


def main(folder):
    training, test = images()
    model = fresh()

    def write(*names):
        for name in names:
            network = as_network(model, folder / name)
            write_network(folder / name, network)
            print(f"wrote {folder / name}, sha256 of the weights {network.sha256}")
        print(f"accuracy on training images {accuracy(model, training):.4f}, on test images {accuracy(model, test):.4f}")

    write("digits_cnn_initial.npz")
    train(model, training, after_epoch=lambda epoch: write("digits_cnn_early.npz") if epoch == EARLY else None)
    write("digits_cnn.npz", "digits_cnn.onnx", "digits_cnn.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
