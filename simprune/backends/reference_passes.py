"""Forward passes, their differences and their gradients on a batch of trials, in float64 and without cancellation.

Matrices are ``[n_trials, d_out, d_in]``, vectors ``[n_trials, d, n_columns]``. With W the target's matrix,
Delta the pruned entries (pruned matrix = W - Delta), h and h' = h + dh the hidden vectors of both networks:
z = W h + b, h = s(z), dz = W dh - Delta h', dh = s(z + dz) - s(z). The last layer has no activation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.model.activations import AbstractActivation

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A forward pass of the targets: ``hidden[l]`` enters layer l, ``before[l]`` leaves it, before its activation."""

    hidden: tuple[Doubles, ...]
    before: tuple[Doubles, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The pruned networks' deviation from a pass: of ``hidden`` and of ``before``."""

    hidden: tuple[Doubles, ...]
    before: tuple[Doubles, ...]


def each(scalar: Callable[..., float], activation: AbstractActivation, *arrays: Doubles) -> Doubles:
    """Return ``scalar(*entries, activation.parameter)`` for every entry of equally shaped arrays."""
    values = map(scalar, *(a.ravel().tolist() for a in arrays), [activation.parameter] * arrays[0].size)
    return np.array(list(values), dtype=np.float64).reshape(arrays[0].shape)


def forward(activation: AbstractActivation, weights: Sequence[Doubles], biases: Sequence[Doubles], x: Doubles) -> Passed:
    """Run the targets on the columns of ``x``."""
    hidden, before = [x], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        before.append(weight @ hidden[-1] + bias[:, None])
        if layer < len(weights) - 1:
            hidden.append(each(activation.scalar, activation, before[-1]))
    return Passed(hidden=tuple(hidden), before=tuple(before))


def difference(
    activation: AbstractActivation, weights: Sequence[Doubles], deltas: Sequence[Doubles], passed: Passed
) -> Moved:
    """Propagate f(x) - F(x) along a pass of the targets."""
    hidden, before = [np.zeros_like(passed.hidden[0])], []
    for layer, (weight, delta) in enumerate(zip(weights, deltas, strict=True)):
        before.append(weight @ hidden[-1] - delta @ (passed.hidden[layer] + hidden[-1]))
        if layer < len(weights) - 1:
            hidden.append(each(activation.difference, activation, passed.before[layer], before[-1]))
    return Moved(hidden=tuple(hidden), before=tuple(before))


def output_gradient(activation: AbstractActivation, weights: Sequence[Doubles], passed: Passed) -> Doubles:
    """Return the gradient of ||F(x)||^2 / 2 with respect to x."""
    adjoint = passed.before[-1]
    for layer in reversed(range(len(weights))):
        if layer < len(weights) - 1:
            adjoint = each(activation.derivative, activation, passed.before[layer]) * adjoint
        adjoint = weights[layer].swapaxes(1, 2) @ adjoint
    return adjoint


def gap_gradient(
    activation: AbstractActivation, weights: Sequence[Doubles], deltas: Sequence[Doubles], passed: Passed, moved: Moved
) -> Doubles:
    """Return the gradient of ||f(x) - F(x)||^2 / 2 with respect to x.

    With r = f(x) - F(x) it is (J_f - J_F)^T r. ``pruned`` is J_f^T r and ``gap`` the difference, carried down together.
    """
    pruned = moved.before[-1]
    gap = np.zeros_like(pruned)
    for layer in reversed(range(len(weights))):
        if layer < len(weights) - 1:
            slope = each(activation.derivative, activation, passed.before[layer])
            pruned_slope = each(activation.derivative, activation, passed.before[layer] + moved.before[layer])
            gap = slope * gap + (pruned_slope - slope) * pruned
            pruned = pruned_slope * pruned
        weight, delta = weights[layer].swapaxes(1, 2), deltas[layer].swapaxes(1, 2)
        gap = weight @ gap - delta @ pruned
        pruned = (weight - delta) @ pruned
    return gap


def step(x: Doubles, gradient: Doubles, length: Doubles) -> Doubles:
    """Return x + length * g / ||g||, brought back to the unit ball; g / ||g|| for infinite length; x where g = 0."""
    moves = np.any(gradient != 0.0, axis=1)[:, None, :]
    direction = _unit(gradient)
    unlimited = np.isinf(length)[:, None, :]
    moved = x + np.where(unlimited, 0.0, length[:, None, :]) * direction
    moved = np.where(column_norms(moved)[:, None, :] > 1.0, _unit(moved), moved)
    return np.where(moves, np.where(unlimited, direction, moved), x)


def column_norms(x: Doubles) -> Doubles:
    """Return the lengths of the columns, ``[n_trials, n_columns]``, without overflow or underflow."""
    size = _size(x)
    norms: Doubles = size * np.sqrt(np.sum((x / size) ** 2, axis=1, keepdims=True))
    return norms[:, 0, :]


def _unit(x: Doubles) -> Doubles:
    scaled = x / _size(x)
    length = np.sqrt(np.sum(scaled**2, axis=1, keepdims=True))
    return scaled / np.where(length > 0.0, length, 1.0)


def _size(x: Doubles) -> Doubles:
    largest = np.abs(x).max(axis=1, keepdims=True)
    return np.where(largest > 0.0, largest, 1.0)
