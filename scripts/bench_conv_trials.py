"""Whole trials of networks with convolutions, against a NumPy and a PyTorch user's."""

import numpy as np
from bench_clock import head, interleaved, median, ratio, row
from bench_conv import im2col
from bench_kernels import torch, torch_mask
from bench_trials import our_trials, repeated, unit_inputs

from simprune.backends.cpu import CpuBackend
from simprune.design.point import Point
from simprune.gap.sampled import Sampled
from simprune.model.activations import ReLU
from simprune.model.chain import Chain
from simprune.model.distributions import Uniform
from simprune.model.layers import Conv2d, Dense, Flatten, MaxPool
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning


def cnn(shape, channels, columns):
    """3 x 3 convolutions with ReLU and 2 x 2 max pooling, one a number of channels, and ten outputs."""
    layers = []
    for n in channels:
        layers += [Conv2d(channels=n, kernel=(3, 3), padding=(1, 1)), MaxPool(kernel=(2, 2), stride=(2, 2))]
    chain = Chain(input=shape, layers=(*layers, Flatten(), Dense(width=10)))
    network = NetworkSpec(chain=chain, activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    return Point(network=network, rule=MagnitudePruning(alpha=0.5), estimators=(Sampled(samples=columns),), seed=1)


def drawn(rng, cell):
    """Weights of a target, uniform in float32, and the same without the smallest."""
    for stage, scale, k in zip(cell.network.weighted, cell.network.scales, cell.n_pruned, strict=True):
        w = (rng.random(stage.weight_shape, dtype=np.float32) - np.float32(0.5)) * np.float32(2 * scale)
        size = np.abs(w)
        yield w, np.where(size <= np.partition(size.ravel(), k - 1)[k - 1], np.float32(0), w)


def numpy_layer(w, x, *, last):
    """One layer on inputs [batch, c, h, w]."""
    if last:
        return w @ x.reshape(len(x), -1).T
    batch, _, rows, columns = x.shape
    z = np.maximum(im2col(w, x), 0).reshape(len(w), batch, rows // 2, 2, columns // 2, 2)
    return z.max(axis=(3, 5)).transpose(1, 0, 2, 3)


def numpy_gaps(pairs, x):
    """The gap of every input, of a target and its pruned twin given by layers."""
    full = kept = x
    for i, (w, left) in enumerate(pairs):
        last = i == len(pairs) - 1
        full, kept = numpy_layer(w, full, last=last), numpy_layer(left, kept, last=last)
    return np.linalg.norm(full - kept, axis=0)


def torch_trial(cell, x):
    """The same with PyTorch's own pruning, convolutions and pooling."""
    functional, full, kept = torch.nn.functional, x, x
    with torch.no_grad():
        for stage, scale, k in zip(cell.network.weighted, cell.network.scales, cell.n_pruned, strict=True):
            w = torch.empty(stage.weight_shape).uniform_(-scale, scale)
            pairs = ((full, w), (kept, w * torch_mask(w, k)))
            if len(stage.weight_shape) == 4:
                full, kept = (functional.max_pool2d(functional.conv2d(h, v, padding=1).relu(), 2) for h, v in pairs)
            else:
                full, kept = (functional.linear(h.flatten(1), v) for h, v in pairs)
        return (full - kept).norm(dim=1).max()


def check(cell, inputs, images):
    trial = CpuBackend().rebuild(cell, 0, None)
    wanted = numpy_gaps(list(zip(trial.target, trial.pruned, strict=True)), images).max()
    assert abs(our_trials(cell, inputs)[0] - wanted) < 1e-3 * wanted


def conv_trials():
    head("Whole trial of a CNN (3x3 convolutions, ReLU, 2x2 max pooling, ten outputs), alpha .5: sample to gap of B inputs")
    rng = np.random.default_rng(6)
    for shape, channels in (((1, 8, 8), (16, 32)), ((3, 32, 32), (32, 64))):
        for columns in (8, 64):
            cell = cnn(shape, channels, columns)
            x = unit_inputs(cell.network.widths[0], columns)
            images = np.ascontiguousarray(x.T).reshape(columns, *shape)
            n = CpuBackend().batch_size(cell)
            inputs = repeated(x, n)
            check(cell, inputs, images)
            tasks = {
                "ours": lambda c=cell, x=inputs: our_trials(c, x),
                "numpy": lambda c=cell, x=images: numpy_gaps(list(drawn(rng, c)), x).max(),
            }
            if torch:
                tensor = torch.from_numpy(images)
                tasks["torch"] = lambda c=cell, x=tensor: torch_trial(c, x)
            seconds = interleaved(tasks, rounds=7, budget=10)
            what = f"{'x'.join(map(str, shape))}, {' and '.join(map(str, channels))} channels, B = {columns}"
            ours = f"{median(seconds, 'ours') / n * 1e6:.0f} us"
            row(f"{what} ({ours}): NumPy / ours", f"{ratio(seconds, 'numpy', 'ours') * n:.1f}", "", met=None)
            if torch:
                row(f"{what}: PyTorch / ours", f"{ratio(seconds, 'torch', 'ours') * n:.1f}", "", met=None)
