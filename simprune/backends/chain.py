"""The chain of a target and its pruned network as one homogeneous system of slope-restricted neurons.

Block l of the chain holds h_l, the scaled deviation e_l / s of the pruned network, and (with biases) a constant c:
    z = W h + (b / c) c,    dz / s = V (e / s) - (Delta / s) h,    V = W - Delta,
and output / s = V (e / s) - (Delta / s) h. s, c and the bound of the slopes are powers of two, so every entry is exact.
"""

import math

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.compile import inner

CONSTANT = 0.5


@inner
def power_of_two(value):
    """Return the smallest power of two above a positive value."""
    _, exponent = math.frexp(value)
    return math.ldexp(1.0, exponent)


@inner
def make_plan(widths, biased):
    """Return the padded sizes of blocks 0 .. L - 1 (multiples of 8), and where matrices, neurons and factors begin."""
    depth = widths.size - 1
    sizes, spots = np.empty(depth, np.int64), np.zeros(depth + 1, np.int64)
    starts, rooms = np.zeros(depth + 1, np.int64), np.zeros(depth, np.int64)
    for layer in range(depth):
        wide = widths[layer] * (2 if layer else 1) + biased
        sizes[layer] = (wide + 7) // 8 * 8
    for layer in range(depth):
        rows = sizes[layer + 1] if layer < depth - 1 else widths[depth]
        spots[layer + 1] = spots[layer] + rows * sizes[layer]
        starts[layer + 1] = starts[layer] + (sizes[layer] if layer else 0)
        if layer:
            rooms[layer] = rooms[layer - 1] + sizes[layer] * (sizes[layer] + sizes[layer - 1])
    return sizes, spots, starts, rooms


@inner
def _fill_hidden(part, matrix, bias, entries, scales):
    slope, unit, first = scales
    rows, columns, values = entries
    d_out, d_in = matrix.shape
    half = 0.5 * slope
    for i in range(d_out):
        for j in range(d_in):
            part[i, j] = half * matrix[i, j]
            if not first:
                part[d_out + i, d_in + j] = half * matrix[i, j]
        for p in range(rows[i], rows[i + 1]):
            part[d_out + i, columns[p]] = half * (np.float64(values[p]) / unit)
            if not first:
                part[d_out + i, d_in + columns[p]] = 0.0
    if bias.size:
        constant = d_in if first else 2 * d_in
        for i in range(d_out):
            part[i, constant] = half * (bias[i] / CONSTANT)
        part[2 * d_out, constant] = 0.5


@inner
def _fill_output(part, matrix, entries, unit):
    rows, columns, values = entries
    d_out, d_in = matrix.shape
    for i in range(d_out):
        for j in range(d_in):
            part[i, d_in + j] = matrix[i, j]
        for p in range(rows[i], rows[i + 1]):
            part[i, columns[p]] = np.float64(values[p]) / unit
            part[i, d_in + columns[p]] = 0.0


@inner
def fill_chain(shape, weights, bias, entries, units, plan, chain):
    """Write slope / 2 times the matrix of every hidden layer ``[p_(l+1), p_l]`` and the output's ``[d_L, p_(L-1)]``."""
    widths, at, _ = shape
    room, starts, columns, values = entries
    sizes, spots, _, _ = plan
    unit, slope = units
    depth, first, row = widths.size - 1, 0, 0
    clear(chain)
    for layer in range(depth):
        d_out, d_in, spot = widths[layer + 1], widths[layer], room[layer]
        matrix = weights[at[layer] : at[layer + 1]].astype(np.float64).reshape(d_out, d_in)
        sparse = (starts[first : first + d_out + 1], columns[spot:], values[spot:])
        part = chain[spots[layer] : spots[layer + 1]].reshape(-1, sizes[layer])
        if layer < depth - 1:
            own = bias[row : row + d_out].astype(np.float64)
            _fill_hidden(part, matrix, own, sparse, (slope, unit, layer == 0))
        else:
            _fill_output(part, matrix, sparse, unit)
        first, row = first + d_out + 1, row + d_out
