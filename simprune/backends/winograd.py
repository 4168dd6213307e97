"""Correlations of 3 x 3 kernels and stride 1 by Winograd's F(4 x 4, 3 x 3): a quarter of the products.

The weights are *spread* once, ``[36, groups * rows, channels]``; then 36 small matrix products serve a block of tiles and
columns whose transformed inputs and products stay in the second-level cache. ``conv_plan.Correlation`` describes the
images; only the search for large gaps runs here: gaps that are reported are evaluated anew by plain sums.
"""

import numpy as np

from simprune.backends.compile import inner
from simprune.backends.products import multiply
from simprune.backends.winograd_tiles import INPUTS, OUTPUTS, PLACES, TAPS, filter_tile, input_tile, output_tile

PANEL = 64
"""Columns of a block's matrix products."""
APART = 16
"""Numbers between matrices of a block: their distances are no powers of two, whose caches' sets would be the same."""
LEAST_CHANNELS = 16
"""Sources and outputs of a group from which on it is faster than plain sums."""
_filters8, _filter = filter_tile(8), filter_tile(1)
_in16, _in8 = input_tile(16), input_tile(8)
_out16, _out8 = output_tile(16, add=False), output_tile(8, add=False)
_add16, _add8 = output_tile(16, add=True), output_tile(8, add=True)


@inner
def spread(weights, out):
    """Write G g G^T of every filter g to ``out`` ``[36, rows, channels]``; ``weights``: flat, rows by channels by taps."""
    n_rows, n_channels = out.shape[1], out.shape[2]
    taps, flat = np.empty((TAPS * TAPS, n_channels), weights.dtype), out.reshape(-1)
    for row in range(n_rows):
        at = row * n_channels
        for c in range(n_channels):
            for k in range(TAPS * TAPS):
                taps[k, c] = weights[(at + c) * TAPS * TAPS + k]
        whole = n_channels - n_channels % 8
        for c in range(0, whole, 8):
            _filters8(taps, c, flat, at + c, n_rows * n_channels)
        for c in range(whole, n_channels):
            _filter(taps, c, flat, at + c, n_rows * n_channels)


@inner
def convolve(plan, spread_weights, x, out, add, room):
    """out (+)= correlation of ``x`` ``[channels * h * w, n]`` with spread weights; ``out`` ``[rows * h * w, n]``."""
    sizes = plan[0]
    n_rows, n_channels, n = sizes[1], sizes[2], x.shape[1]
    down, across = -(-sizes[9] // OUTPUTS), -(-sizes[10] // OUTPUTS)
    at_once = max(1, PANEL // n)
    tables = np.empty((at_once, PLACES), np.int64), np.empty((at_once, OUTPUTS * OUTPUTS), np.int64)
    ends = np.zeros(PANEL, x.dtype), np.zeros(PANEL, x.dtype)
    for first in range(0, down * across, at_once):
        n_tiles = min(at_once, down * across - first)
        for tile in range(n_tiles):
            _places(plan, (first + tile) // across, (first + tile) % across, n, tables[0][tile], tables[1][tile])
        for column in range(0, n, PANEL):
            width = min(PANEL, n - column)
            length = n_tiles * width
            inputs, step_in = room, n_channels * length + APART
            products, step_out = room[PLACES * step_in :], n_rows * length + APART
            for g in range(sizes[0]):
                _transform_inputs(plan, g, column, width, x, tables[0][:n_tiles], ends[0], inputs)
                for p in range(PLACES):
                    factor = inputs[p * step_in : (p + 1) * step_in - APART].reshape(n_channels, length)
                    product = products[p * step_out : (p + 1) * step_out - APART].reshape(n_rows, length)
                    multiply(spread_weights[p, g * n_rows : (g + 1) * n_rows], factor, product)
                _transform_outputs(plan, g, column, width, products, tables[1][:n_tiles], ends[1], add, out)


@inner
def _places(plan, row, column, n, inputs, outputs):
    """Write where the inputs of a tile lie in their channel and its outputs in theirs, -1 for what is outside."""
    sizes, phase = plan[0], plan[1][0]
    h, w, out_h, out_w, circular = sizes[3], sizes[4], sizes[9], sizes[10], sizes[11]
    for i in range(INPUTS):
        y = phase[8] + row * OUTPUTS + i - sizes[5]
        y = y % h if circular else y
        for j in range(INPUTS):
            x = phase[10] + column * OUTPUTS + j - sizes[6]
            x = x % w if circular else x
            inputs[i * INPUTS + j] = (y * w + x) * n if 0 <= y < h and 0 <= x < w else -1
    for i in range(OUTPUTS):
        y = row * OUTPUTS + i
        for j in range(OUTPUTS):
            x = column * OUTPUTS + j
            outputs[i * OUTPUTS + j] = (y * out_w + x) * n if y < out_h and x < out_w else -1


@inner
def _transform_inputs(plan, group, column, width, x, tables, nothing, out):
    sizes, flat = plan[0], x.reshape(-1)
    area, n_channels, length = sizes[3] * sizes[4] * x.shape[1], sizes[2], tables.shape[0] * width
    step = n_channels * length + APART
    for c in range(n_channels):
        for tile in range(tables.shape[0]):
            at, place = (group * n_channels + c) * area + column, c * length + tile * width
            for j in range(0, width - 15, 16):
                _in16(flat, at + j, tables[tile], nothing, out, place + j, step)
            if width % 16:
                _in8(flat, at + width - 8, tables[tile], nothing, out, place + width - 8, step)


@inner
def _transform_outputs(plan, group, column, width, products, tables, spare, add, out):
    sizes, flat = plan[0], out.reshape(-1)
    area, n_rows, length = sizes[9] * sizes[10] * out.shape[1], sizes[1], tables.shape[0] * width
    step = n_rows * length + APART
    for r in range(n_rows):
        for tile in range(tables.shape[0]):
            at, place = (group * n_rows + r) * area + column, r * length + tile * width
            for j in range(0, width - 15, 16):
                if add:
                    _add16(products, place + j, step, flat, at + j, tables[tile], spare)
                else:
                    _out16(products, place + j, step, flat, at + j, tables[tile], spare)
            if width % 16:
                j = width - 8
                if add:
                    _add8(products, place + j, step, flat, at + j, tables[tile], spare)
                else:
                    _out8(products, place + j, step, flat, at + j, tables[tile], spare)
