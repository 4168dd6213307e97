"""Networks with convolutions in the NumPy backend: every linear map is written out as a matrix, entry by entry.

Slow and obvious, for small images: a matrix has as many entries as inputs times outputs of its layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import reference_bounds as bounds
from simprune.backends.reference_bounds import EPS, SLACK, bend, gamma
from simprune.backends.reference_passes import Moved, Passed, each
from simprune.gap.base import LayerNorms
from simprune.model.activations import AbstractActivation
from simprune.model.chain import Stage
from simprune.model.layers import AbstractMaximum, AbstractPool, Conv2d
from simprune.model.network import NetworkSpec

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearMap:
    """A weighted layer or average pooling: matrices ``[n_trials, n_out, n_in]`` of target and pruned entries.

    ``terms``: most terms of one output; ``is_hidden``: an activation follows.
    """

    weight: Doubles
    delta: Doubles
    bias: Doubles
    terms: int
    is_weighted: bool
    is_hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum:
    """Maxima over windows: ``places`` ``[n_out, size]`` are indices of inputs."""

    places: Ints


Map = LinearMap | Maximum


@lru_cache(maxsize=256)
def entries_of(stage: Stage) -> tuple[Ints, Ints, Ints]:
    """Return (output, input, weight) indices of all entries of a convolution's matrix; several may meet in one place."""
    layer = stage.layer
    assert isinstance(layer, Conv2d)
    c_in, h, w = stage.input
    c_out, out_h, out_w = stage.output
    group_in, group_out = c_in // layer.groups, c_out // layer.groups
    found = []
    for weight, (o, c, a, b) in enumerate(np.ndindex(*stage.weight_shape)):
        source = o // group_out * group_in + c
        for y, x in np.ndindex(out_h, out_w):
            row, column = y * layer.stride[0] + a - layer.padding[0], x * layer.stride[1] + b - layer.padding[1]
            if layer.circular:
                row, column = row % h, column % w
            if 0 <= row < h and 0 <= column < w:
                found.append(((o * out_h + y) * out_w + x, (source * h + row) * w + column, weight))
    outputs, inputs, weights = np.array(found, dtype=np.int64).T
    return outputs, inputs, weights


def written_out(stage: Stage, kernels: Doubles) -> Doubles:
    """Return the matrices ``[n_trials, n_out, n_in]`` of a weighted layer; ``kernels`` is ``[n_trials, rows, columns]``."""
    if not isinstance(stage.layer, Conv2d):
        return kernels
    outputs, inputs, weights = entries_of(stage)
    matrices = np.zeros((len(kernels), int(np.prod(stage.output)), int(np.prod(stage.input))))
    for matrix, kernel in zip(matrices, kernels, strict=True):
        np.add.at(matrix, (outputs, inputs), kernel.ravel()[weights])
    return matrices


@lru_cache(maxsize=256)
def windows_of(stage: Stage) -> Ints:
    """Return the inputs ``[n_out, size]`` of every window of a pooling stage."""
    assert isinstance(stage.layer, AbstractPool)
    (kh, kw), (sh, sw) = stage.layer.window(stage.input)
    _, h, w = stage.input
    places = [
        [(c * h + y * sh + a) * w + x * sw + b for a, b in np.ndindex(kh, kw)] for c, y, x in np.ndindex(*stage.output)
    ]
    return np.array(places, dtype=np.int64)


def maps_of(network: NetworkSpec, kernels: Sequence[Doubles], deltas: Sequence[Doubles], biases: Sequence[Any]) -> list[Map]:
    """Return the maps of a batch of networks; kernels and pruned entries are ``[n_trials, rows, columns]`` by layer."""
    maps: list[Map] = []
    number = 0
    for stage in network.stages:
        if stage.layer.is_weighted:
            maps.append(
                LinearMap(
                    weight=written_out(stage, kernels[number]),
                    delta=written_out(stage, deltas[number]),
                    bias=np.repeat(np.asarray(biases[number], dtype=np.float64), stage.positions),
                    terms=stage.matrix_shape[1],
                    is_weighted=True,
                    is_hidden=number < network.depth - 1,
                )
            )
            number += 1
        elif isinstance(stage.layer, AbstractMaximum):
            maps.append(Maximum(places=windows_of(stage)))
        elif isinstance(stage.layer, AbstractPool):
            places = windows_of(stage)
            mean = np.zeros((len(kernels[0]), len(places), int(np.prod(stage.input))))
            np.put_along_axis(mean, places[None], 1.0 / places.shape[1], axis=2)
            maps.append(
                LinearMap(
                    weight=mean,
                    delta=np.zeros_like(mean),
                    bias=np.zeros(len(places)),
                    terms=places.shape[1],
                    is_weighted=False,
                    is_hidden=False,
                )
            )
    return maps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """Passes through a list of maps; see ``reference_passes`` for the recursions."""

    activation: AbstractActivation
    maps: Sequence[Map]

    def forward(self, x: Doubles) -> Passed:
        """Run the targets."""
        hidden, before = [x], []
        for step in self.maps:
            if isinstance(step, Maximum):
                before.append(hidden[-1][:, step.places].max(axis=2))
                hidden.append(before[-1])
                continue
            before.append(step.weight @ hidden[-1] + step.bias[:, None])
            hidden.append(each(self.activation.scalar, self.activation, before[-1]) if step.is_hidden else before[-1])
        return Passed(hidden=tuple(hidden), before=tuple(before))

    def difference(self, passed: Passed) -> Moved:
        """Propagate f(x) - F(x); a maximum moves by max over its window of (h_j - h_m) + dh_j, h_m the target's."""
        hidden, before = [np.zeros_like(passed.hidden[0])], []
        for i, step in enumerate(self.maps):
            h, dh = passed.hidden[i], hidden[-1]
            if isinstance(step, Maximum):
                window = h[:, step.places] - h[:, step.places].max(axis=2, keepdims=True)
                before.append((window + dh[:, step.places]).max(axis=2))
                hidden.append(before[-1])
                continue
            before.append(step.weight @ dh - step.delta @ (h + dh))
            z, dz = passed.before[i], before[-1]
            hidden.append(each(self.activation.difference, self.activation, z, dz) if step.is_hidden else dz)
        return Moved(hidden=tuple(hidden), before=tuple(before))

    def output_gradient(self, passed: Passed) -> Doubles:
        """Return the gradient of ||F(x)||^2 / 2."""
        adjoint = passed.hidden[-1]
        for i, step in reversed(list(enumerate(self.maps))):
            if isinstance(step, Maximum):
                adjoint = _pulled(step, passed.hidden[i], adjoint)
                continue
            if step.is_hidden:
                adjoint = each(self.activation.derivative, self.activation, passed.before[i]) * adjoint
            adjoint = step.weight.swapaxes(1, 2) @ adjoint
        return adjoint

    def gap_gradient(self, passed: Passed, moved: Moved) -> Doubles:
        """Return the gradient of ||f(x) - F(x)||^2 / 2."""
        pruned = moved.hidden[-1]
        gap = np.zeros_like(pruned)
        for i, step in reversed(list(enumerate(self.maps))):
            if isinstance(step, Maximum):
                h = passed.hidden[i]
                there = _pulled(step, h + moved.hidden[i], pruned)
                gap = _pulled(step, h, gap) + there - _pulled(step, h, pruned)
                pruned = there
                continue
            if step.is_hidden:
                slope = each(self.activation.derivative, self.activation, passed.before[i])
                pruned_slope = each(self.activation.derivative, self.activation, passed.before[i] + moved.before[i])
                gap = slope * gap + (pruned_slope - slope) * pruned
                pruned = pruned_slope * pruned
            weight, delta = step.weight.swapaxes(1, 2), step.delta.swapaxes(1, 2)
            gap = weight @ gap - delta @ pruned
            pruned = (weight - delta) @ pruned
        return gap

    def evaluate(self, x: Doubles) -> tuple[Doubles, Doubles]:
        """Return the gap at one input a trial and its rounding error bound (``reference_bounds.evaluate``)."""
        x = x / np.maximum(1.0, np.linalg.norm(x, axis=1, keepdims=True))
        passed = self.forward(x[:, :, None])
        moved = self.difference(passed)
        err_h, err_dh = gamma(x.shape[1]) * np.abs(passed.hidden[0]), np.zeros_like(passed.hidden[0])
        for i, step in enumerate(self.maps):
            h, dh = passed.hidden[i], moved.hidden[i]
            if isinstance(step, Maximum):
                err_h, err_dh = _maximum_errors(step, h, dh, err_h, err_dh)
                continue
            size, delta_size, g = np.abs(step.weight), np.abs(step.delta), gamma(step.terms)
            both = np.abs(h + dh)
            err_z = size @ err_h + g * (size @ np.abs(h) + np.abs(step.bias)[:, None])
            err_both = err_h + err_dh + EPS * both
            err_dz = size @ err_dh + delta_size @ err_both + g * (size @ np.abs(dh) + delta_size @ both)
            err_h, err_dh = err_z, err_dz
            if step.is_hidden:
                z, dz, activation = passed.before[i], moved.before[i], self.activation
                rounding = 8 * EPS * (np.abs(passed.hidden[i + 1]) + abs(activation.value_at_zero))
                err_h = activation.lipschitz * err_z + rounding
                own = activation.lipschitz * (err_dz + 16 * EPS * np.abs(dz))
                err_dh = own + bend(activation, z, dz, err_z)
        out = moved.hidden[-1]
        gap = np.linalg.norm(out[:, :, 0], axis=1)
        noise = SLACK * (np.linalg.norm(err_dh[:, :, 0], axis=1) + gamma(out.shape[1]) * gap)
        return gap, noise


def _pulled(step: Maximum, h: Doubles, adjoint: Doubles) -> Doubles:
    """Send the adjoint of each maximum to the first place where it is reached."""
    out = np.zeros_like(h)
    winners = h[:, step.places].argmax(axis=2)
    for t, place, column in np.ndindex(*adjoint.shape):
        out[t, step.places[place, winners[t, place, column]], column] += adjoint[t, place, column]
    return out


def _maximum_errors(step: Maximum, h: Doubles, dh: Doubles, err_h: Doubles, err_dh: Doubles) -> tuple[Doubles, Doubles]:
    """Return error bounds of a maximum and of its deviation.

    The deviation is in error by at most max err(h) + max (err(h) + err(dh)), and lies between the least and the largest dh
    as the true one does; where both maxima surely are at one place, its error is that of dh there.
    """
    h, dh, err_h, err_dh = (a[:, step.places] for a in (h, dh, err_h, err_dh))
    worst, size = err_h.max(axis=2), np.abs(dh).max(axis=2)
    spread = (dh + err_dh).max(axis=2) - (dh - err_dh).min(axis=2) + 4 * EPS * size
    loose = worst + (err_h + err_dh).max(axis=2) + 4 * EPS * (spread + size)
    winner = h.argmax(axis=2)[:, :, None]
    h_m, dh_m, err_h_m, err_dh_m = (np.take_along_axis(a, winner, axis=2) for a in (h, dh, err_h, err_dh))
    apart, moved_apart = h_m - h, (h_m - h) + (dh_m - dh)
    reach = err_h_m + err_h + 4 * EPS * np.abs(apart)
    reach_moved = reach + err_dh_m + err_dh + 4 * EPS * (np.abs(dh_m) + np.abs(dh))
    others = np.arange(h.shape[2])[None, None, :, None] != winner
    clear = ((apart > reach) & (moved_apart > reach_moved) | ~others).all(axis=2)
    return worst, np.where(clear, err_dh_m[:, :, 0], np.minimum(spread, loose))


def norms_of(maps: Sequence[Map]) -> LayerNorms:
    """Return upper bounds of the norms of the weighted layers, by singular values of their matrices."""
    weighted = [step for step in maps if isinstance(step, LinearMap) and step.is_weighted]
    left = [step.weight - step.delta for step in weighted]
    return LayerNorms(
        target=bounds.norm_bounds([step.weight for step in weighted]),
        pruned=bounds.norm_bounds(left),
        delta=bounds.norm_bounds([step.delta for step in weighted]),
    )
