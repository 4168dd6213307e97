"""Kernels of one layer of a network with convolutions, each for all trials at once.

Images are ``[n_trials, channels * height * width, columns]``, weights ``[n_trials, n_weights]``. ``entries`` = (row starts
``[n_trials, rows + 1]``, columns, values ``[n_trials, room]``): compressed rows of -Delta, for an adjoint in its own order.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.compile import kernel
from simprune.backends.conv_plan import Packed, n_padded
from simprune.backends.conv_products import add_correlation, correlate, fold, pad, scaled_offsets
from simprune.backends.conv_scratch import scratch
from simprune.backends.elementwise import activate, activate_difference, pull_back, pull_back_pair
from simprune.backends.pair import column_norms, normalised
from simprune.backends.winograd import APART, PANEL, convolve, spread
from simprune.backends.winograd_tiles import PLACES

Array = npt.NDArray[Any]


def correlate_all(plan: Packed, weights: Array, x: Array, out: Array) -> None:
    """out = correlation of every trial's image with its dense weights."""
    _correlate_all(plan, weights, x, _padded(plan, x), out)


def add_correlation_all(plan: Packed, entries: tuple[Array, Array, Array], x: Array, out: Array) -> None:
    """out += correlation of every trial's image with its sparse weights."""
    _add_correlation_all(plan, entries, x, _padded(plan, x), out)


def spread_all(plan: Packed, weights: Array) -> Array:
    """Return every trial's weights ``[n_trials, n_weights]`` spread for ``convolve_all``."""
    out = np.empty((len(weights), PLACES, plan[0][0] * plan[0][1], plan[0][2]), weights.dtype)
    _spread_all(weights, out)
    return out


def convolve_all(plan: Packed, spread_weights: Array, x: Array, out: Array, *, add: bool) -> None:
    """out (+)= correlation of every trial's image with its spread weights, by Winograd's algorithm."""
    room = PLACES * (int(plan[0][1] + plan[0][2]) * PANEL + 2 * APART)
    _convolve_all(plan, spread_weights, x, out, add, scratch(room, x.dtype))


def _padded(plan: Packed, x: Array) -> Array:
    return scratch(n_padded(plan[0]) * x.shape[2], x.dtype)


@kernel
def _correlate_all(plan, weights, x, padded, out):
    n = x.shape[2]
    offsets = scaled_offsets(plan, n)
    for t in range(x.shape[0]):
        pad(plan, x[t], padded)
        correlate(plan, weights[t], offsets, padded, out[t].reshape(-1), n)


@kernel
def _add_correlation_all(plan, entries, x, padded, out):
    n = x.shape[2]
    offsets = scaled_offsets(plan, n)
    starts, columns, values = entries
    for t in range(x.shape[0]):
        pad(plan, x[t], padded)
        add_correlation(plan, starts[t], columns[t], values[t], offsets, padded, out[t].reshape(-1), n)


@kernel
def _spread_all(weights, out):
    for t in range(out.shape[0]):
        spread(weights[t], out[t])


@kernel
def _convolve_all(plan, spread_weights, x, out, add, room):
    for t in range(x.shape[0]):
        convolve(plan, spread_weights[t], x[t], out[t], add, room)


@kernel
def fill_dense(entries, n_columns, out):
    """Write compressed rows to dense weights, which are 0 before."""
    starts, columns, values = entries
    for t in range(out.shape[0]):
        for i in range(starts.shape[1] - 1):
            for p in range(starts[t, i], starts[t, i + 1]):
                out[t, i * n_columns + columns[t, p]] = values[t, p]


@kernel
def fold_all(plan, images, out):
    """Add circularly padded images back onto ``out``; the plan is that of the padding."""
    for t in range(out.shape[0]):
        fold(plan, images[t].reshape(-1), out[t])


@kernel
def turn_entries(order, row_starts, columns, values, turned):
    """Transpose compressed rows. ``order`` = (columns of a row, row and column of every weight in the adjoint's order)."""
    n_columns, row_of, column_of = order
    starts_out, columns_out, values_out = turned
    for t in range(row_starts.shape[0]):
        starts, into = row_starts[t], starts_out[t]
        into[:] = 0
        for i in range(starts.size - 1):
            for p in range(starts[i], starts[i + 1]):
                into[row_of[i * n_columns + columns[t, p]] + 1] += 1
        for i in range(into.size - 1):
            into[i + 1] += into[i]
        cursor = into.copy()
        for i in range(starts.size - 1):
            for p in range(starts[i], starts[i + 1]):
                weight = i * n_columns + columns[t, p]
                spot = cursor[row_of[weight]]
                columns_out[t, spot] = column_of[weight]
                values_out[t, spot] = values[t, p]
                cursor[row_of[weight]] += 1


@kernel
def activate_all(activation, z, h):
    """h = s(z)."""
    code, parameter, smooth = activation
    for t in range(z.shape[0]):
        activate(code, parameter, smooth, z[t].reshape(-1), h[t].reshape(-1))


@kernel
def activate_difference_all(activation, z, dz, dh):
    """dh = s(z + dz) - s(z)."""
    code, parameter, smooth = activation
    for t in range(z.shape[0]):
        activate_difference(code, parameter, smooth, z[t].reshape(-1), dz[t].reshape(-1), dh[t].reshape(-1))


@kernel
def pull_back_all(activation, z, p):
    """p <- s'(z) p."""
    code, parameter, smooth = activation
    for t in range(z.shape[0]):
        pull_back(code, parameter, smooth, z[t].reshape(-1), p[t].reshape(-1))


@kernel
def pull_back_pair_all(activation, z, dz, p, e):
    """p <- s'(z + dz) p and e <- s'(z) e + (s'(z + dz) - s'(z)) p."""
    code, parameter, smooth = activation
    for t in range(z.shape[0]):
        flat = (z[t].reshape(-1), dz[t].reshape(-1), p[t].reshape(-1), e[t].reshape(-1))
        pull_back_pair(code, parameter, smooth, *flat)


@kernel
def norms_and_units(a, norms, units):
    """Norms of the columns of every trial, ``[n_trials, columns]``, and the columns divided by them."""
    squares = np.empty(a.shape[2], np.float64)
    for t in range(a.shape[0]):
        column_norms(a[t], squares, norms[t])
        normalised(a[t], norms[t], units[t])
