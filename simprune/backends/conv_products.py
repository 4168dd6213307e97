"""Correlations with dense and with pruned weights: images ``[channels * height * width, columns]``, 8 columns or more.

``plan`` = (sizes, phases, offsets) of ``conv_plan.Correlation``. Where source and output columns advance together, a whole
row of positions times columns is one long vector; else every position is one.
"""

import numpy as np

from simprune.backends.compile import inner
from simprune.backends.conv_tiles import DENSE_ROWS, DENSE_VECTORS, SPARSE_VECTORS, offset_sparse_row, offset_tile
from simprune.backends.tiles import VECTOR_BYTES

TALL = DENSE_ROWS
WIDE, LONG = (vectors * VECTOR_BYTES // 4 for vectors in (DENSE_VECTORS, SPARSE_VECTORS))
_tall_wide, _flat_wide = offset_tile(TALL, WIDE), offset_tile(1, WIDE)
_tall16, _tall8, _flat16, _flat8 = offset_tile(TALL, 16), offset_tile(TALL, 8), offset_tile(1, 16), offset_tile(1, 8)
_sparse_long, _sparse16, _sparse8 = offset_sparse_row(LONG), offset_sparse_row(16), offset_sparse_row(8)


@inner
def scaled_offsets(plan, n_columns):
    """Return the offsets in numbers instead of positions."""
    offsets = plan[2]
    out = np.empty(offsets.size, np.int64)
    for i in range(offsets.size):
        out[i] = offsets[i] * n_columns
    return out


@inner
def pad(plan, x, out):
    """Write the padded image of ``x`` ``[channels * h * w, columns]`` to the flat ``out``."""
    sizes = plan[0]
    h, w, top, left, height, width = sizes[3], sizes[4], sizes[5], sizes[6], sizes[7], sizes[8]
    circular, n = sizes[11], x.shape[1]
    at = 0
    for c in range(sizes[0] * sizes[2]):
        for y in range(height):
            from_y = y - top
            if circular:
                from_y %= h
            for col in range(width):
                from_x = col - left
                if circular:
                    from_x %= w
                part = out[at : at + n]
                at += n
                if 0 <= from_y < h and 0 <= from_x < w:
                    row = x[(c * h + from_y) * w + from_x]
                    for j in range(part.size):
                        part[j] = row[j]
                else:
                    part[:] = 0


@inner
def fold(plan, image, out):
    """Add a circularly padded image (flat) back onto ``out`` ``[channels * h * w, columns]``; by its own plan."""
    h, w, top, left = plan[0][3], plan[0][4], plan[0][5], plan[0][6]
    height, width, n = plan[0][7], plan[0][8], out.shape[1]
    out[:] = 0
    at = 0
    for c in range(plan[0][0] * plan[0][2]):
        for y in range(height):
            for col in range(width):
                row = out[(c * h + (y - top) % h) * w + (col - left) % w]
                part = image[at : at + n]
                at += n
                for j in range(part.size):
                    row[j] += part[j]


@inner
def _tiles(W, offsets, x, at, out, place, leading, length):
    n_rows, n_terms = W.shape
    whole = n_rows - n_rows % TALL
    wide = length - length % WIDE
    for j in range(0, wide, WIDE):
        for i in range(0, whole, TALL):
            _tall_wide(W, i, offsets, n_terms, x, at + j, out, place + i * leading + j, leading)
        for i in range(whole, n_rows):
            _flat_wide(W, i, offsets, n_terms, x, at + j, out, place + i * leading + j, leading)
    for j in range(wide, length - 15, 16):
        for i in range(0, whole, TALL):
            _tall16(W, i, offsets, n_terms, x, at + j, out, place + i * leading + j, leading)
        for i in range(whole, n_rows):
            _flat16(W, i, offsets, n_terms, x, at + j, out, place + i * leading + j, leading)
    if length % 16:
        j = length - 8
        for i in range(0, whole, TALL):
            _tall8(W, i, offsets, n_terms, x, at + j, out, place + i * leading + j, leading)
        for i in range(whole, n_rows):
            _flat8(W, i, offsets, n_terms, x, at + j, out, place + i * leading + j, leading)


@inner
def correlate(plan, weights, offsets, padded, out, n):
    """out = correlation of the padded image with ``weights`` (flat, in the plan's order); n columns, ``out`` flat."""
    sizes, phases, _ = plan
    n_rows, source, area = sizes[1], sizes[2] * sizes[7] * sizes[8] * n, sizes[9] * sizes[10] * n
    offset_at = 0
    for f in range(phases.shape[0]):
        first, n_terms, y0, step_y, x0, step_x, n_y, n_x, from_y, down, from_x, right = phases[f]
        table = offsets[offset_at : offset_at + n_terms]
        offset_at += n_terms
        W = weights[first : first + sizes[0] * n_rows * n_terms].reshape(sizes[0] * n_rows, n_terms)
        together = step_x == 1 and right == 1
        pieces, length = (1, n_x * n) if together else (n_x, n)
        for y in range(n_y):
            for piece in range(pieces):
                place = ((y0 + y * step_y) * sizes[10] + x0 + piece * step_x) * n
                at = ((from_y + y * down) * sizes[8] + from_x + piece * right) * n
                for g in range(sizes[0]):
                    rows = W[g * n_rows : (g + 1) * n_rows]
                    _tiles(rows, table, padded, at + g * source, out, place + g * n_rows * area, area, length)


@inner
def _sparse_rows(groups, starts, index, values, offsets, x, at, out, place, length):
    """Add all rows to a stretch of columns before the next: what they read stays in the cache."""
    n_rows, source, leading = groups
    whole = length - length % LONG
    for j in range(0, whole, LONG):
        for i in range(starts.size - 1):
            image = at + i // n_rows * source + j
            _sparse_long(index, values, starts[i], starts[i + 1], offsets, x, image, out, place + i * leading + j)
    for i in range(starts.size - 1):
        image, spot = at + i // n_rows * source, place + i * leading
        for j in range(whole, length - 15, 16):
            _sparse16(index, values, starts[i], starts[i + 1], offsets, x, image + j, out, spot + j)
        if length % 16:
            j = length - 8
            _sparse8(index, values, starts[i], starts[i + 1], offsets, x, image + j, out, spot + j)


@inner
def add_correlation(plan, starts, index, values, offsets, padded, out, n):
    """Add the correlation with sparse weights in compressed rows, numbered phase * output channels + channel."""
    sizes, phases, _ = plan
    n_rows, source, area = sizes[1], sizes[2] * sizes[7] * sizes[8] * n, sizes[9] * sizes[10] * n
    offset_at, n_all = 0, sizes[0] * sizes[1]
    for f in range(phases.shape[0]):
        _, n_terms, y0, step_y, x0, step_x, n_y, n_x, from_y, down, from_x, right = phases[f]
        table = offsets[offset_at : offset_at + n_terms]
        offset_at += n_terms
        together = step_x == 1 and right == 1
        pieces, length = (1, n_x * n) if together else (n_x, n)
        own = starts[f * n_all : (f + 1) * n_all + 1]
        for y in range(n_y if own[0] < own[n_all] else 0):
            for piece in range(pieces):
                place = ((y0 + y * step_y) * sizes[10] + x0 + piece * step_x) * n
                at = ((from_y + y * down) * sizes[8] + from_x + piece * right) * n
                _sparse_rows((n_rows, source, area), own, index, values, table, padded, at, out, place, length)
