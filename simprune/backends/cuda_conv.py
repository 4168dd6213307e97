"""CUDA kernel of convolutions, there and back, for the target and the pruned network's deviation from it.

A convolution is a product with a matrix that is never written out: rows are the output channels of a group, columns the
taps of a filter, and the panel is gathered from the image while it is multiplied; its adjoint sums over the filters and
taps that read a place. z and dz are as in ``cuda_products``: dz = W b over kept - W a over pruned weights. Every output is
one chain of fused operations in the order of the summed index, whatever the grid, and nothing is added up by atomics.

Arrays of columns are stacks of nodes (``cuda_plan.chain_plan``), an image's rows numbered (channel, row, column).
"""

import numpy as np

from simprune.backends.compile_cuda import cuda, device_function
from simprune.backends.cuda_plan import (
    AT,
    BIAS,
    C_IN,
    CIRCULAR,
    D_IN,
    D_OUT,
    FIRST,
    GROUPS,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    NODE_IN,
    NODE_OUT,
    OUT_H,
    OUT_W,
    PAD_H,
    PAD_W,
    STRIDE_H,
    STRIDE_W,
    WIDTH,
)
from simprune.backends.cuda_products import (
    ALIGNED,
    OWN,
    PANEL,
    TILE_COLUMNS,
    TILE_INNER,
    TILE_ROWS,
    WEIGHTS,
    clear,
    lift,
    load_weights,
    multiply,
    multiply_pair,
    store_gone,
    store_panel,
    store_weights,
)

TURNED, PAIRED = 1, 2


def _source_along(turned, place, tap, size, stride, pad, n_out, circular):
    """Return what output ``place`` reads of an axis of ``size`` at ``tap``, or (turned) which of the ``n_out`` outputs reads
    place at that tap; -1 if none.
    """
    at = place + pad - tap if turned else place * stride + tap - pad
    if circular:
        if at < 0:
            at += size
        elif at >= size:
            at -= size
    if turned and stride > 1:
        at = at // stride if at >= 0 and at % stride == 0 else -1
    if at >= (n_out if turned else size):
        at = -1
    return at


source_along = device_function(_source_along)


def _source_node(plan, layer, turned, channel, down, across, y, x):
    """Return the row, in its node, that the place (y, x) reads of a channel at the tap (down, across); -1 for padding."""
    circular = plan[layer, CIRCULAR] != 0
    strides, pads = (plan[layer, STRIDE_H], plan[layer, STRIDE_W]), (plan[layer, PAD_H], plan[layer, PAD_W])
    row = source_along(turned, y, down, plan[layer, HEIGHT], strides[0], pads[0], plan[layer, OUT_H], circular)
    beside = source_along(turned, x, across, plan[layer, WIDTH], strides[1], pads[1], plan[layer, OUT_W], circular)
    height, width = plan[layer, OUT_H if turned else HEIGHT], plan[layer, OUT_W if turned else WIDTH]
    return (channel * height + row) * width + beside if row >= 0 and beside >= 0 else -1


source_node = device_function(_source_node)


def _next_tap(channel, down, across, height, width, steps):
    """Return channel and tap that lie ``steps`` further in a filter of ``height`` x ``width`` taps."""
    across += steps
    while across >= width:
        across -= width
        down += 1
    while down >= height:
        down -= height
        channel += 1
    return channel, down, across


def _load_places(plan, layer, way, panels, t, place, tap_at, limit, ahead):
    """Load a thread's share of both panels, taps OWN apart from ``tap_at`` (channel, row, column) on, if below ``limit``.

    ``place``: row, column and column of the arrays that the thread gathers for. Returns the next tap.
    """
    turned, paired = way & TURNED != 0, way & PAIRED != 0
    (a, b), (y, x, column), (channel, down, across) = panels, place, tap_at
    source = plan[layer, NODE_OUT if turned else NODE_IN]
    for s in range(OWN):
        node = source_node(plan, layer, turned, channel, down, across, y, x)
        ahead[0][s], ahead[1][s] = a.dtype.type(0), a.dtype.type(0)
        if s * OWN < limit and node >= 0:
            ahead[0][s] = a[t, np.uint64(source + node), column]
            if paired:
                ahead[1][s] = b[t, np.uint64(source + node), column]
        channel, down, across = next_tap(channel, down, across, plan[layer, KERNEL_H], plan[layer, KERNEL_W], OWN)
    return channel, down, across


def _load_turned(weights, mask, paired, t, at, word, tap, shape, limit, ahead):
    """Load a thread's share of a tile of the transposed filters: of one channel ``limit`` taps, filter after filter.

    ``at``: the weight of tap 0 of the next filter; ``word``, ``shift``: its word of the mask and place in it; ``shape``:
    taps, weights and mask words of a filter. Returns the new ``at``, ``word`` and ``tap``, and, if ``paired``, the bits of
    pruned weights.
    """
    (taps, d_in, row_words, shift), bits = shape, np.uint32(0)
    for s in range(TILE_INNER):
        ahead[s] = weights.dtype.type(0)
        if s < limit:
            ahead[s] = weights[t, np.uint64(at + tap)]
            place = shift + tap
            if paired:
                bits |= (mask[t, np.uint64(word + (place >> 5))] >> np.uint32(place & 31) & np.uint32(1)) << np.uint32(s)
        tap += 1
        if tap == taps:
            at, word, tap = at + d_in, word + row_words, 0
    return at, word, tap, bits


def _store(values, out, t, node, own, places, rows):
    """Write a thread's values, at column ``own`` of ``places`` positions and from row ``node`` on, if there are ``rows``.

    Columns come in multiples of 8: the four of a thread are those of one place.
    """
    place, c = own // out.shape[2], own % out.shape[2]
    for q in range(OWN):
        for p in range(OWN):
            if q < rows and place < places:
                out[t, np.uint64(node + place + q * places), np.uint64(c + p)] = values[q, p]


next_tap = device_function(_next_tap)
load_places, load_turned, store = device_function(_load_places), device_function(_load_turned), device_function(_store)


def convolve(plan, layer, weights, mask, way, a, b, z, dz, bias):
    """z = W a + bias and, if ``way`` has the bit PAIRED, dz = W b over kept - W a over pruned weights.

    With the bit TURNED the adjoint, without bias. Grid (groups x row tiles, n_trials, column tiles): columns are those of
    the arrays at every position of the output.
    """
    whole = cuda.shared.array(WEIGHTS, weights.dtype, ALIGNED)
    gone = cuda.shared.array(WEIGHTS, weights.dtype, ALIGNED)
    flags = cuda.shared.array(TILE_ROWS, np.uint32)
    panel_a = cuda.shared.array(PANEL, weights.dtype, ALIGNED)
    panel_b = cuda.shared.array(PANEL, weights.dtype, ALIGNED)
    sums = cuda.local.array((OWN, OWN), weights.dtype)
    moved = cuda.local.array((OWN, OWN), weights.dtype)
    ahead = cuda.local.array(TILE_INNER, weights.dtype)
    ahead_a = cuda.local.array(OWN, weights.dtype)
    ahead_b = cuda.local.array(OWN, weights.dtype)
    turned, paired = way & TURNED != 0, way & PAIRED != 0
    j, t, n_columns = np.int64(cuda.threadIdx.x), np.uint64(cuda.blockIdx.y), a.shape[2]
    kh, kw = plan[layer, KERNEL_H], plan[layer, KERNEL_W]
    d_in, taps = plan[layer, D_IN], kh * kw
    filters = plan[layer, D_OUT] // plan[layer, GROUPS]
    channels = plan[layer, C_IN] // plan[layer, GROUPS]
    n, m, n_read = (filters * taps, channels, filters) if turned else (d_in, filters, channels)
    sink = plan[layer, NODE_IN if turned else NODE_OUT]
    height, width = plan[layer, HEIGHT if turned else OUT_H], plan[layer, WIDTH if turned else OUT_W]
    row_tiles = (m + TILE_ROWS - 1) // TILE_ROWS
    g, top, left = cuda.blockIdx.x // row_tiles, cuda.blockIdx.x % row_tiles * TILE_ROWS, cuda.blockIdx.z * TILE_COLUMNS
    along, across, ty, tx = j & 15, j >> 4, j >> 2, j & 3
    own = left + along
    place = own // n_columns // width, own // n_columns % width, np.uint64(own % n_columns)
    deep = n - across if own < height * width * n_columns else 0
    row_words = (d_in + 31) >> 5
    # Rows of the tile are filters; turned they are channels of the group, and the summed index runs over filters and taps.
    if turned:
        at, step = plan[layer, FIRST] + g * filters * d_in + (top + j) * taps, 0
        word, shift = plan[layer, AT] + g * filters * row_words, (top + j) * taps
        rows = n if top + j < m else 0
    else:
        at, step = plan[layer, FIRST] + (g * filters + top + across) * d_in + along, OWN * d_in
        word, shift = plan[layer, AT] + (g * filters + top + j) * row_words, 0
        rows = (m - top - across + OWN - 1) // OWN
    tap = 0
    tap_at = next_tap(g * n_read, 0, 0, kh, kw, across)
    clear(sums)
    clear(moved)
    for k0 in range(-TILE_INNER, n, TILE_INNER):
        if k0 >= 0:
            cuda.syncthreads()
            store_weights(ahead, whole, turned, j)
            if paired:
                store_gone(ahead, flags, gone, turned, j)
            store_panel(ahead_a, panel_a, j)
            store_panel(ahead_b, panel_b, j)
            cuda.syncthreads()
        k1 = k0 + TILE_INNER
        bits = np.uint32(0)
        if k1 < n:
            if turned:
                shape = taps, d_in, row_words, shift
                at, word, tap, bits = load_turned(weights, mask, paired, t, at, word, tap, shape, rows - k1, ahead)
            else:
                load_weights(weights, t, at, step, rows if k1 + along < n else 0, ahead)
                at += TILE_INNER
                if paired and top + j < m:
                    bits = mask[t, np.uint64(word + (k1 >> 5))] >> np.uint32(k1 & 31)
            tap_at = load_places(plan, layer, way, (a, b), t, place, tap_at, deep - k1, (ahead_a, ahead_b))
        if k0 >= 0:
            if paired:
                multiply_pair(whole, gone, (panel_a, panel_b), sums, moved, ty, tx)
            else:
                multiply(whole, panel_a, sums, ty, tx)
        flags[np.uint64(j)] = bits
    i, places = top + ty * OWN, height * width
    if not turned:
        lift(sums, bias, plan[layer, BIAS] + g * m + i, m - i)
    node = sink + (g * m + i) * places
    store(sums, z, t, node, left + tx * OWN, places, m - i)
    if paired:
        store(moved, dz, t, node, left + tx * OWN, places, m - i)
