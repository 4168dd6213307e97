"""The gap at one input of a network with convolutions, in float64 with a running bound of every rounding error.

The recursion of ``backends.evaluation``, layer by layer; a correlation has as many terms as a row of its kernel, so g =
(terms + 8) 2^-52. A state ``[n_trials, 4, n]`` holds value, its error bound, deviation, its error bound: (h, eh, dh, edh),
and before an activation (z, ez, dz, edz). Values travel as two columns of an image with eight, bounds likewise through |W|.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.certificates import EPSILON
from simprune.backends.conv_passes import add_correlation_all, correlate_all
from simprune.backends.conv_plan import LayerPlan
from simprune.backends.conv_states import fill_activated, fill_inputs, fill_pooled

COLUMNS = 8
Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]


def start(x: Array) -> Doubles:
    """Return the state of inputs ``[n_trials, d_0]``, scaled into the unit ball."""
    state = np.zeros((len(x), 4, x.shape[1]))
    fill_inputs(np.ascontiguousarray(x), state)
    return state


def layer(plan: LayerPlan, weights: Array, bias: Array, entries: tuple[Array, Array, Array], state: Doubles) -> Doubles:
    """Carry a state through a weighted layer: z = W h + b, dz = W dh - Delta (h + dh)."""
    starts, columns, values = entries
    h, eh, dh, edh = (state[:, i] for i in range(4))
    g, wide, entry = (plan.columns + 8.0) * EPSILON, weights.astype(np.float64), values.astype(np.float64)
    both = h + dh
    exact = _carried(plan, wide, (starts, columns, entry), (h, dh, both))
    bounds = (eh + g * np.abs(h), edh + g * np.abs(dh), eh + edh + g * np.abs(both))
    errors = _carried(plan, np.abs(wide), (starts, columns, np.abs(entry)), bounds)
    if bias.size:
        added = np.repeat(bias.astype(np.float64), plan.positions)
        exact[0] += added
        errors[0] += g * np.abs(added)
    return np.stack([exact[0], errors[0], exact[1], errors[1]], axis=1)


def _carried(
    plan: LayerPlan, weights: Doubles, entries: tuple[Array, Array, Array], sources: tuple[Doubles, ...]
) -> list[Doubles]:
    """Return W a and W b + S c of three sources (a, b, c)."""
    first, second, sparse = sources
    image, out = np.zeros((len(first), plan.n_in, COLUMNS)), np.empty((len(first), plan.n_out, COLUMNS))
    image[:, :, 0], image[:, :, 1] = first, second
    correlate_all(plan.forward.packed, weights, image, out)
    image[:, :, 0], image[:, :, 1] = 0.0, sparse
    add_correlation_all(plan.forward.packed, entries, image, out)
    return [np.ascontiguousarray(out[:, :, 0]), np.ascontiguousarray(out[:, :, 1])]


def activated(activation: tuple[Any, ...], constants: tuple[float, float, float], state: Doubles) -> Doubles:
    """Carry a state through the activation; ``constants`` as in ``evaluation.evaluate``."""
    after = np.empty_like(state)
    fill_activated(activation, constants, state, after)
    return after


def pooled(window: tuple[int, ...], n_out: int, state: Doubles) -> Doubles:
    """Carry a state through pooling."""
    after = np.empty((len(state), 4, n_out))
    fill_pooled(window, state, after)
    return after


def gap_and_noise(state: Doubles) -> tuple[Doubles, Doubles]:
    """Return the gap and its rounding error bound, ``[n_trials]``; sums run in order, the same on every machine."""
    squares, errors = (np.cumsum(state[:, i] ** 2, axis=1)[:, -1] for i in (2, 3))
    gap = np.sqrt(squares)
    noise = np.sqrt(errors) * (1.0 + 1e-9) + (state.shape[2] + 8.0) * EPSILON * gap
    return gap, noise
