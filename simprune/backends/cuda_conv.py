"""CUDA kernels of convolutions and pooling, there and back, for the target and the pruned network's deviation from it.

A convolution is a product with a matrix that is never written out: rows are the output channels of a group, columns the
taps of a filter, and the panel is gathered from the image while it is multiplied; its adjoint sums over the filters and
taps that read a place. z and dz are as in ``cuda_passes``: dz = W b over kept - W a over pruned weights. Every output is one
chain of fused operations in the order of the summed index, whatever the grid, and nothing is added up by atomics.

Arrays of columns are stacks of nodes (``cuda_plan.chain_plan``), an image's rows numbered (channel, row, column).
``window`` is that of ``backends.conv_pooling``. Ties of maxima go to the first place.
"""

import numpy as np

from simprune.backends.compile_cuda import cuda, device_function
from simprune.backends.cuda_passes import LANES, OWN, PADDED_ROWS, THREADS_FLAT, TILE_COLUMNS, TILE_INNER, TILE_ROWS
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
    if turned:
        at = at // stride if at >= 0 and at % stride == 0 and at // stride < n_out else -1
    elif at >= size:
        at = -1
    return at


source_along = device_function(_source_along)


def _source_node(plan, layer, turned, g, k, y, x):
    """Return the row, in its node, that the output at (y, x) of group g reads with its inner index k; -1 for padding."""
    kh, kw, circular = plan[layer, KERNEL_H], plan[layer, KERNEL_W], plan[layer, CIRCULAR] != 0
    height, width = plan[layer, HEIGHT], plan[layer, WIDTH]
    tap = k % (kh * kw)
    row = source_along(turned, y, tap // kw, height, plan[layer, STRIDE_H], plan[layer, PAD_H], plan[layer, OUT_H], circular)
    across = source_along(
        turned, x, tap % kw, width, plan[layer, STRIDE_W], plan[layer, PAD_W], plan[layer, OUT_W], circular
    )
    channels = plan[layer, C_IN] // plan[layer, GROUPS]
    if turned:
        height, width, channels = plan[layer, OUT_H], plan[layer, OUT_W], plan[layer, D_OUT] // plan[layer, GROUPS]
    return ((g * channels + k // (kh * kw)) * height + row) * width + across if row >= 0 and across >= 0 else -1


source_node = device_function(_source_node)


def _multiply(whole, panel, sums, ty, tx):
    """Add the products of one step of the inner index."""
    for k in range(TILE_INNER):
        for q in range(OWN):
            w = whole[k, ty + LANES * q]
            for p in range(OWN):
                sums[q, p] += w * panel[k, tx + OWN * p]


def _multiply_pair(whole, gone, panel_a, panel_b, sums, moved, ty, tx):
    """Add those of the target and of the deviation."""
    for k in range(TILE_INNER):
        for q in range(OWN):
            w, g = whole[k, ty + LANES * q], gone[k, ty + LANES * q]
            kept = w - g
            for p in range(OWN):
                u = panel_a[k, tx + OWN * p]
                sums[q, p] += w * u
                moved[q, p] += kept * panel_b[k, tx + OWN * p]
                moved[q, p] -= g * u


def _store(values, out, t, node, own, places, rows):
    """Write a thread's values, from column ``own`` of ``places`` positions on and of row ``node`` on, if there are ``rows``.

    Columns come in multiples of 8: four further on is the same place or the next.
    """
    place, c, n_columns = own // out.shape[2], own % out.shape[2], out.shape[2]
    for p in range(OWN):
        for q in range(OWN):
            if LANES * q < rows and place < places:
                out[t, node + place + LANES * q * places, c] = values[q, p]
        wraps = c + OWN >= n_columns
        place += 1 if wraps else 0
        c += OWN - n_columns if wraps else OWN


multiply, multiply_pair, store = device_function(_multiply), device_function(_multiply_pair), device_function(_store)


def convolve(plan, layer, weights, mask, way, a, b, z, dz, bias):
    """z = W a + bias and, if ``way`` has the bit PAIRED, dz = W b over kept - W a over pruned weights.

    With the bit TURNED the adjoint, without bias. Grid (groups x row tiles, n_trials, column tiles): columns are those of
    the arrays at every position of the output.
    """
    whole = cuda.shared.array((TILE_INNER, PADDED_ROWS), weights.dtype)
    gone = cuda.shared.array((TILE_INNER, PADDED_ROWS), weights.dtype)
    panel_a = cuda.shared.array((TILE_INNER, TILE_COLUMNS), weights.dtype)
    panel_b = cuda.shared.array((TILE_INNER, TILE_COLUMNS), weights.dtype)
    sums = cuda.local.array((OWN, OWN), weights.dtype)
    moved = cuda.local.array((OWN, OWN), weights.dtype)
    zero = weights.dtype.type(0)
    turned, paired = way & TURNED != 0, way & PAIRED != 0
    j, t, n_columns = cuda.threadIdx.x, cuda.blockIdx.y, a.shape[2]
    d_in, taps = plan[layer, D_IN], plan[layer, KERNEL_H] * plan[layer, KERNEL_W]
    filters = plan[layer, D_OUT] // plan[layer, GROUPS]
    channels = plan[layer, C_IN] // plan[layer, GROUPS]
    n, m = (filters * taps, channels) if turned else (d_in, filters)
    source, sink = plan[layer, NODE_OUT if turned else NODE_IN], plan[layer, NODE_IN if turned else NODE_OUT]
    height, width = plan[layer, HEIGHT if turned else OUT_H], plan[layer, WIDTH if turned else OUT_W]
    row_tiles = (m + TILE_ROWS - 1) // TILE_ROWS
    g, top, left = cuda.blockIdx.x // row_tiles, cuda.blockIdx.x % row_tiles * TILE_ROWS, cuda.blockIdx.z * TILE_COLUMNS
    n_places = height * width * n_columns
    own = left + (j & 15)
    y, x, column = own // n_columns // width, own // n_columns % width, own % n_columns
    ty, tx = j >> 2, j & 3
    row_words = (d_in + 31) >> 5
    for q in range(OWN):
        for p in range(OWN):
            sums[q, p] = zero
            moved[q, p] = zero
    for k0 in range(0, n, TILE_INNER):
        for s in range(TILE_INNER):
            k = s if turned else j & 15
            r = j if turned else s * OWN + (j >> 4)
            w, pruned = zero, False
            if top + r < m and k0 + k < n:
                i = g * filters + ((k0 + k) // taps if turned else top + r)
                c = (top + r) * taps + (k0 + k) % taps if turned else k0 + k
                w = weights[t, plan[layer, FIRST] + i * d_in + c]
                word = plan[layer, AT] + i * row_words + (c >> 5)
                pruned = paired and mask[t, word] >> np.uint32(c & 31) & np.uint32(1) != 0
            whole[k, r] = w
            gone[k, r] = w if pruned else zero
        for s in range(OWN):
            k = s * OWN + (j >> 4)
            inside = k0 + k < n and own < n_places
            node = source_node(plan, layer, turned, g, k0 + k, y, x) if inside else -1
            panel_a[k, j & 15] = a[t, source + node, column] if node >= 0 else zero
            panel_b[k, j & 15] = b[t, source + node, column] if node >= 0 and paired else zero
        cuda.syncthreads()
        if paired:
            multiply_pair(whole, gone, panel_a, panel_b, sums, moved, ty, tx)
        else:
            multiply(whole, panel_a, sums, ty, tx)
        cuda.syncthreads()
    for q in range(OWN):
        i = top + ty + LANES * q
        lift = bias[plan[layer, BIAS] + g * m + i] if i < m and not turned else zero
        for p in range(OWN):
            sums[q, p] += lift
    node, places = sink + (g * m + top + ty) * height * width, height * width
    store(sums, z, t, node, left + tx, places, m - top - ty)
    if paired:
        store(moved, dz, t, node, left + tx, places, m - top - ty)


def _largest(window, h, t, first, c):
    """Return the row of the first largest number of the window that begins at row ``first``."""
    best = first
    for i in range(window[3]):
        for k in range(window[4]):
            row = first + i * window[2] + k
            if h[t, row, c] > h[t, best, c]:
                best = row
    return best


def _largest_moved(window, h, dh, t, first, m, c):
    """Return the row where (h_j - h_m) + dh_j is largest."""
    best, value = m, dh[t, m, c]
    for i in range(window[3]):
        for k in range(window[4]):
            row = first + i * window[2] + k
            moved = (h[t, row, c] - h[t, m, c]) + dh[t, row, c]
            if moved > value:
                best, value = row, moved
    return best


def _first_row(window, place):
    """Return the first row, in its image, of the window of an output place."""
    channel, y, x = place // (window[7] * window[8]), place // window[8] % window[7], place % window[8]
    return (channel * window[1] + y * window[5]) * window[2] + x * window[6]


largest, largest_moved, first_row = device_function(_largest), device_function(_largest_moved), device_function(_first_row)


def pool(window, source, sink, m, paired, h, dh):
    """Pool node ``source`` into node ``sink`` of ``m`` rows, with its deviation if ``paired``; grid (blocks, n_trials)."""
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * h.shape[2]:
        place, c = i // h.shape[2], i % h.shape[2]
        first = source + first_row(window, place)
        if window[9] != 0:
            best = largest(window, h, t, first, c)
            h[t, sink + place, c] = h[t, best, c]
            if paired:
                moved = largest_moved(window, h, dh, t, first, best, c)
                dh[t, sink + place, c] = (h[t, moved, c] - h[t, best, c]) + dh[t, moved, c]
        else:
            total, total_moved = h.dtype.type(0), h.dtype.type(0)
            for a in range(window[3]):
                for b in range(window[4]):
                    total += h[t, first + a * window[2] + b, c]
                    if paired:
                        total_moved += dh[t, first + a * window[2] + b, c]
            size = h.dtype.type(window[3] * window[4])
            h[t, sink + place, c] = total / size
            if paired:
                dh[t, sink + place, c] = total_moved / size


def pull_pool(window, source, sink, m, paired, h, dh, q, e):
    """Adjoint of pooling, from node ``sink`` to node ``source`` of ``m`` rows: q of the target, and e of the difference.

    A thread a number of the larger image: it looks into every window that holds it. Grid (blocks, n_trials).
    """
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * q.shape[2]:
        row, c = i // q.shape[2], i % q.shape[2]
        channel, y, x = row // (window[1] * window[2]), row // window[2] % window[1], row % window[2]
        zero = q.dtype.type(0)
        own, own_moved = zero, zero
        for a in range(window[3]):
            for b in range(window[4]):
                at, across = y - a, x - b
                inside = at >= 0 and across >= 0 and at % window[5] == 0 and across % window[6] == 0
                if inside and at // window[5] < window[7] and across // window[6] < window[8]:
                    place = (channel * window[7] + at // window[5]) * window[8] + across // window[6]
                    u = q[t, sink + place, c]
                    v = e[t, sink + place, c] if paired else zero
                    if window[9] == 0:
                        own += u
                        own_moved += v
                    else:
                        first = source + first_row(window, place)
                        best = largest(window, h, t, first, c)
                        here = best == source + row
                        if here:
                            own += u
                        if paired:
                            moved_here = largest_moved(window, h, dh, t, first, best, c) == source + row
                            if here and moved_here:
                                own_moved += v
                            elif moved_here:
                                own_moved += u + v
                            elif here:
                                own_moved -= u
        size = q.dtype.type(window[3] * window[4])
        average = window[9] == 0
        q[t, source + row, c] = own / size if average else own
        if paired:
            e[t, source + row, c] = own_moved / size if average else own_moved
