"""A slow, obvious twin: networks evaluated number by number, and brute-force suprema over balls."""

import numpy as np

from simprune.model.layers import AbstractMaximum, AbstractPool, Conv2d, Flatten
from tests.oracle import VALUES


def output(network, activation, x):
    """Network value at one flat input, in float64."""
    value, layer = np.asarray(x, dtype=np.float64).reshape(network.layers.input), 0
    for stage in network.layers.stages:
        if stage.layer.is_weighted:
            weight, bias = (a[layer].astype(np.float64) for a in (network.weights, network.biases))
            value = weighted(stage, weight, bias, value)
            layer += 1
            if layer < len(network.weights):
                value = VALUES[activation.name](value, activation.parameter)
        elif isinstance(stage.layer, Flatten):
            value = value.ravel()
        else:
            value = pooled(stage, value)
    return value.ravel()


def outputs(network, activation, points):
    """Network values at the rows of ``points``: all at once for matrices alone, one by one otherwise."""
    if network.chain is not None:
        return np.array([output(network, activation, point) for point in points])
    values = np.asarray(points, dtype=np.float64).T
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        values = weight.astype(np.float64) @ values + bias[:, None]
        if layer < len(network.weights) - 1:
            values = VALUES[activation.name](values, activation.parameter)
    return values.T


def weighted(stage, weight, bias, value):
    """One matrix or convolution with its bias."""
    layer = stage.layer
    if not isinstance(layer, Conv2d):
        return weight @ value + bias
    (ph, pw), (sh, sw), (kh, kw) = layer.padding, layer.stride, layer.kernel
    _, height, width = value.shape
    out = np.zeros(stage.output)
    per_group = layer.channels // layer.groups
    for o, row, column in np.ndindex(*stage.output):
        total = bias[o]
        for c, i, j in np.ndindex(weight.shape[1], kh, kw):
            y, x = row * sh + i - ph, column * sw + j - pw
            if layer.circular:
                y, x = y % height, x % width
            if 0 <= y < height and 0 <= x < width:
                total += weight[o, c, i, j] * value[(o // per_group) * weight.shape[1] + c, y, x]
        out[o, row, column] = total
    return out


def pooled(stage, value):
    """Maxima or means of windows."""
    assert isinstance(stage.layer, AbstractPool)
    (kh, kw), (sh, sw) = stage.layer.window(stage.input)
    combine = np.max if isinstance(stage.layer, AbstractMaximum) else np.mean
    out = np.zeros(stage.output)
    for c, row, column in np.ndindex(*stage.output):
        out[c, row, column] = combine(value[c, row * sh : row * sh + kh, column * sw : column * sw + kw])
    return out


def brute_sup(target, pruned, activation, *, center, radius, rounds=25):
    """Return an attained supremum of the gap over a ball in few dimensions: many samples, the best ones polished."""
    rng = np.random.default_rng(0)
    dimension = len(center)
    n_points = 3000 if target.chain is None else 300

    def gaps(points):
        moved = outputs(pruned, activation, points) - outputs(target, activation, points)
        return np.linalg.norm(moved, axis=1)

    directions = rng.standard_normal((n_points, dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions *= np.where(rng.random(n_points) < 0.5, 1.0, rng.random(n_points) ** (1 / dimension))[:, None]
    points = center + radius * directions
    values = gaps(points)
    best, width = points[np.argsort(values)[-8:]], 0.3 * radius
    for _ in range(rounds):
        cloud = (best[:, None] + width * rng.standard_normal((len(best), 12, dimension))).reshape(-1, dimension)
        away = cloud - center
        cloud = center + away * np.minimum(1.0, radius / np.maximum(np.linalg.norm(away, axis=1), 1e-300))[:, None]
        every = np.concatenate([best, cloud])
        best = every[np.argsort(gaps(every))[-8:]]
        width *= 0.72
    return gaps(best).max()
