"""Networks with convolutions written without the package's arithmetic: loops over positions, taps and channels."""

from dataclasses import dataclass

import numpy as np

from simprune.model.layers import AbstractAverage, AbstractMaximum, Conv2d, Dense
from tests.oracle import VALUES


def convolved(layer, kernel, bias, image):
    """Output ``[c_out, h, w]`` of a convolution on one image, position by position."""
    c, h, w = image.shape
    out = np.zeros(layer.output_shape((c, h, w)), dtype=image.dtype)
    per_group_in, per_group_out = c // layer.groups, layer.channels // layer.groups
    for o, y, x in np.ndindex(*out.shape):
        total = bias[o]
        for i, a, b in np.ndindex(*kernel.shape[1:]):
            row, column = y * layer.stride[0] + a - layer.padding[0], x * layer.stride[1] + b - layer.padding[1]
            if layer.circular:
                row, column = row % h, column % w
            if 0 <= row < h and 0 <= column < w:
                total = total + kernel[o, i, a, b] * image[o // per_group_out * per_group_in + i, row, column]
        out[o, y, x] = total
    return out


def pooled(layer, image):
    """Output of average or maximum pooling on one image."""
    (kh, kw), (sh, sw) = layer.window(image.shape)
    out = np.zeros(layer.output_shape(image.shape), dtype=image.dtype)
    for c, y, x in np.ndindex(*out.shape):
        window = image[c, y * sh : y * sh + kh, x * sw : x * sw + kw]
        out[c, y, x] = window.max() if isinstance(layer, AbstractMaximum) else window.mean()
    return out


def matrix_of(stage, kernel):
    """Dense matrix of a weighted or averaging stage, column by column from unit images."""
    n_in = int(np.prod(stage.input))
    columns = []
    for i in range(n_in):
        unit = np.zeros(n_in)
        unit[i] = 1.0
        columns.append(applied(stage, kernel, 0.0, unit.reshape(stage.input)).ravel())
    return np.stack(columns, axis=1)


def applied(stage, kernel, bias, value):
    """Output of one stage on one input of its shape."""
    layer = stage.layer
    if isinstance(layer, Conv2d):
        return convolved(layer, kernel, np.broadcast_to(bias, len(kernel)), value)
    if isinstance(layer, Dense):
        return kernel @ value + bias
    if isinstance(layer, AbstractAverage | AbstractMaximum):
        return pooled(layer, value)
    return value.reshape(stage.output)


@dataclass(frozen=True, kw_only=True)
class ConvPair:
    """Target and pruned network of one trial; the interface of ``oracle.Pair``."""

    network: object
    target: tuple
    pruned: tuple
    biases: tuple

    @classmethod
    def of(cls, trial, network):
        arrays = [tuple(a.astype(np.float64) for a in part) for part in (trial.target, trial.pruned, trial.biases)]
        return cls(network=network, target=arrays[0], pruned=arrays[1], biases=arrays[2])

    def output(self, weights, x):
        """Network value at the columns of ``x [d_0, n]``."""
        return np.stack([self.one(weights, column) for column in x.T], axis=1)

    def one(self, weights, vector):
        value, number = vector.reshape(self.network.input_shape), 0
        for stage in self.network.stages:
            weighted = stage.layer.is_weighted
            kernel, bias = (weights[number], self.biases[number].astype(value.dtype)) if weighted else (None, None)
            value = applied(stage, kernel if kernel is None else kernel.astype(value.dtype), bias, value)
            number += weighted
            if weighted and number < self.network.depth:
                activation = self.network.activation
                value = VALUES[activation.name](value, value.dtype.type(activation.parameter))
        return value.ravel()

    def gap(self, x):
        return np.linalg.norm(self.output(self.pruned, x) - self.output(self.target, x), axis=0)
