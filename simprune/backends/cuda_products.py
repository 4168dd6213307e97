"""CUDA kernels of the dense products: the trials' matrices times panels of columns, masks applied on the way.

With a the target's vector and b the pruned network's deviation from it, the next deviation is the sum over kept entries
of W b minus the sum over pruned entries of W a: nothing cancels, and W is read once for both networks. The adjoint has
the same form with W transposed (a: adjoint of the target, b: that of the difference), so one kernel serves both ways.
Every output is one chain of fused operations in the order of the summed index, whatever the grid.

Arrays of columns are ``[n_trials, nodes, columns]``: the vectors of all nodes of the network, input first, one above the
other; layer l leads from node l to node l + 1, and ``turned`` leads back by the transposed matrix. ``plan`` says where
layers and nodes lie (``cuda_plan``).

A block of 64 threads makes a tile of 64 rows and 16 columns, 4 x 4 of it a thread, 16 summed indices at a time: the next
tile of weights is on its way to registers while the last one is multiplied from shared memory.
"""

import numpy as np

from simprune.backends.compile_cuda import cuda, device_function
from simprune.backends.cuda_plan import AT, AT_TURNED, D_IN, D_OUT, FIRST, NODE_IN, NODE_OUT

TILE_ROWS = 64
TILE_COLUMNS = 16
TILE_INNER = 16
THREADS = 64
OWN = 4
# Rows of shared tiles begin at 16 bytes, and neighbours in the summed index fall into other banks.
PITCH = TILE_ROWS + OWN
WEIGHTS = TILE_INNER * PITCH
PANEL = TILE_INNER * TILE_COLUMNS
ALIGNED = 16
THREADS_SPARSE = 128


def _load_weights(weights, t, p, step, limit, ahead):
    """Load a thread's share of a tile, ``limit`` numbers ``step`` apart from ``p`` on, and zeros up to TILE_INNER."""
    start, spot, hop = np.uint64(p), np.uint32(0), np.uint32(step)
    if limit >= TILE_INNER:
        for s in range(TILE_INNER):
            ahead[s] = weights[t, start + np.uint64(spot)]
            spot = np.uint32(spot + hop)
    else:
        for s in range(TILE_INNER):
            ahead[s] = weights.dtype.type(0)
            if s < limit:
                ahead[s] = weights[t, start + np.uint64(spot)]
            spot = np.uint32(spot + hop)


def _load_panel(a, t, row, c, limit, ahead):
    """Load a thread's share of a panel, rows OWN apart; zeros from ``limit`` rows on."""
    if limit > (OWN - 1) * OWN:
        for s in range(OWN):
            ahead[s] = a[t, np.uint64(row + s * OWN), c]
    else:
        for s in range(OWN):
            ahead[s] = a.dtype.type(0)
            if s * OWN < limit:
                ahead[s] = a[t, np.uint64(row + s * OWN), c]


def _store_weights(ahead, whole, turned, j):
    """Store a thread's share of a tile, ``[summed index, row]``."""
    if turned:
        for s in range(TILE_INNER):
            whole[np.uint64(j + s * PITCH)] = ahead[s]
    else:
        for s in range(TILE_INNER):
            whole[np.uint64((j & 15) * PITCH + (j >> 4) + s * OWN)] = ahead[s]


def _store_gone(ahead, flags, gone, turned, j):
    """Store what the pruned entries among them subtract; bit k of ``flags[row]`` marks those."""
    zero, one = gone.dtype.type(0), np.uint32(1)
    if turned:
        bits = flags[np.uint64(j)]
        for s in range(TILE_INNER):
            gone[np.uint64(j + s * PITCH)] = -ahead[s] if bits >> np.uint32(s) & one != 0 else zero
    else:
        for s in range(TILE_INNER):
            bits = flags[np.uint64((j >> 4) + s * OWN)] >> np.uint32(j & 15)
            gone[np.uint64((j & 15) * PITCH + (j >> 4) + s * OWN)] = -ahead[s] if bits & one != 0 else zero


def _store_panel(ahead, panel, j):
    """Store a thread's share of a panel, ``[summed index, column]``."""
    for s in range(OWN):
        panel[np.uint64(((j >> 4) + s * OWN) * TILE_COLUMNS + (j & 15))] = ahead[s]


def _clear(sums):
    """Set a thread's sums to 0."""
    for q in range(OWN):
        for p in range(OWN):
            sums[q, p] = sums.dtype.type(0)


def _add_products(whole, panel, sums, at, spot):
    """Add the products of one summed index."""
    for q in range(OWN):
        w = whole[at + np.uint32(q)]
        for p in range(OWN):
            sums[q, p] += w * panel[spot + np.uint32(p)]


def _add_pairs(whole, gone, panels, sums, moved, at, spot):
    """Add those of the target and of the deviation."""
    for q in range(OWN):
        w, minus = whole[at + np.uint32(q)], gone[at + np.uint32(q)]
        kept = w + minus
        for p in range(OWN):
            u = panels[0][spot + np.uint32(p)]
            sums[q, p] += w * u
            moved[q, p] += kept * panels[1][spot + np.uint32(p)]
            moved[q, p] += minus * u


add_products, add_pairs = device_function(_add_products), device_function(_add_pairs)


def _multiply(whole, panel, sums, ty, tx):
    """Add the products of one tile, four summed indices at a time, written out since the compiler does not unroll them."""
    at, spot = np.uint32(ty * OWN), np.uint32(tx * OWN)
    end = np.uint32(at + np.uint32(WEIGHTS))
    while at < end:
        add_products(whole, panel, sums, at, spot)
        add_products(whole, panel, sums, at + np.uint32(PITCH), spot + np.uint32(TILE_COLUMNS))
        add_products(whole, panel, sums, at + np.uint32(2 * PITCH), spot + np.uint32(2 * TILE_COLUMNS))
        add_products(whole, panel, sums, at + np.uint32(3 * PITCH), spot + np.uint32(3 * TILE_COLUMNS))
        at, spot = np.uint32(at + np.uint32(4 * PITCH)), np.uint32(spot + np.uint32(4 * TILE_COLUMNS))


def _multiply_pair(whole, gone, panels, sums, moved, ty, tx):
    """Add those of the target and of the deviation."""
    at, spot = np.uint32(ty * OWN), np.uint32(tx * OWN)
    end = np.uint32(at + np.uint32(WEIGHTS))
    while at < end:
        add_pairs(whole, gone, panels, sums, moved, at, spot)
        add_pairs(whole, gone, panels, sums, moved, at + np.uint32(PITCH), spot + np.uint32(TILE_COLUMNS))
        add_pairs(whole, gone, panels, sums, moved, at + np.uint32(2 * PITCH), spot + np.uint32(2 * TILE_COLUMNS))
        add_pairs(whole, gone, panels, sums, moved, at + np.uint32(3 * PITCH), spot + np.uint32(3 * TILE_COLUMNS))
        at, spot = np.uint32(at + np.uint32(4 * PITCH)), np.uint32(spot + np.uint32(4 * TILE_COLUMNS))


def _lift(sums, bias, first, rows):
    """Add the bias of every row, if there are so many ``rows``."""
    for q in range(OWN):
        if q < rows:
            for p in range(OWN):
                sums[q, p] += bias[np.uint64(first + q)]


def _store_tile(values, out, t, row, rows, c):
    """Write a thread's outputs from ``row`` and column c on, if there are so many ``rows`` and columns."""
    for q in range(OWN):
        for p in range(OWN):
            if q < rows and c + p < out.shape[2]:
                out[t, np.uint64(row + q), np.uint64(c + p)] = values[q, p]


load_weights, load_panel = device_function(_load_weights), device_function(_load_panel)
store_weights, store_gone = device_function(_store_weights), device_function(_store_gone)
multiply, multiply_pair = device_function(_multiply), device_function(_multiply_pair)
lift, store_tile = device_function(_lift), device_function(_store_tile)
clear, store_panel = device_function(_clear), device_function(_store_panel)


def pair_product(plan, layer, weights, mask, turned, a, b, z, dz, bias):
    """z = W a + bias (none if turned), dz = W b over kept - W a over pruned; grid (row tiles, n_trials, column tiles).

    ``turned`` takes the transposed matrix, and ``mask`` is then the transposed mask.
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
    j, t = np.int64(cuda.threadIdx.x), np.uint64(cuda.blockIdx.y)
    d_in, d_out = plan[layer, D_IN], plan[layer, D_OUT]
    top, left = np.int64(cuda.blockIdx.x) * TILE_ROWS, np.int64(cuda.blockIdx.z) * TILE_COLUMNS
    along, across, ty, tx = j & 15, j >> 4, j >> 2, j & 3
    # A thread loads 16 weights of one column of the tile, of every fourth row of it; turned, of every row of a column.
    if turned:
        n, m, source, sink = d_out, d_in, plan[layer, NODE_OUT], plan[layer, NODE_IN]
        at, step, tile_step = plan[layer, FIRST] + top + j, d_in, TILE_INNER * d_in
        word = plan[layer, AT_TURNED]
        rows = n if top + j < m else 0
    else:
        n, m, source, sink = d_in, d_out, plan[layer, NODE_IN], plan[layer, NODE_OUT]
        at, step, tile_step = plan[layer, FIRST] + (top + across) * d_in + along, OWN * d_in, TILE_INNER
        word = plan[layer, AT]
        rows = (m - top - across + OWN - 1) // OWN
    word += (top + j) * ((n + 31) >> 5)
    c = left + along
    deep, wide = n - across, np.uint64(c)
    if c >= a.shape[2]:
        deep, wide = 0, np.uint64(0)
    clear(sums)
    clear(moved)
    for k0 in range(-TILE_INNER, n, TILE_INNER):
        if k0 >= 0:
            cuda.syncthreads()
            store_weights(ahead, whole, turned, j)
            store_gone(ahead, flags, gone, turned, j)
            store_panel(ahead_a, panel_a, j)
            store_panel(ahead_b, panel_b, j)
            cuda.syncthreads()
        k1 = k0 + TILE_INNER
        if k1 < n:
            limit = rows - k1 if turned else (rows if k1 + along < n else 0)
            load_weights(weights, t, at, step, limit, ahead)
            at += tile_step
            load_panel(a, t, source + k1 + across, wide, deep - k1, ahead_a)
            load_panel(b, t, source + k1 + across, wide, deep - k1, ahead_b)
        bits = np.uint32(0)
        if k1 < n and top + j < m:
            bits = mask[t, np.uint64(word + (k1 >> 5))] >> np.uint32(k1 & 31)
        if k0 >= 0:
            multiply_pair(whole, gone, (panel_a, panel_b), sums, moved, ty, tx)
        flags[np.uint64(j)] = bits
    i, c = top + ty * OWN, left + tx * OWN
    if not turned:
        lift(sums, bias, sink - plan[0, D_IN] + i, m - i)
    store_tile(sums, z, t, sink + i, m - i, c)
    store_tile(moved, dz, t, sink + i, m - i, c)


def product(plan, layer, weights, turned, a, z, bias):
    """z = W a + bias (no bias if turned); grid as for ``pair_product``."""
    whole = cuda.shared.array(WEIGHTS, weights.dtype, ALIGNED)
    panel = cuda.shared.array(PANEL, weights.dtype, ALIGNED)
    sums = cuda.local.array((OWN, OWN), weights.dtype)
    ahead = cuda.local.array(TILE_INNER, weights.dtype)
    ahead_a = cuda.local.array(OWN, weights.dtype)
    j, t = np.int64(cuda.threadIdx.x), np.uint64(cuda.blockIdx.y)
    d_in, d_out = plan[layer, D_IN], plan[layer, D_OUT]
    top, left = np.int64(cuda.blockIdx.x) * TILE_ROWS, np.int64(cuda.blockIdx.z) * TILE_COLUMNS
    along, across, ty, tx = j & 15, j >> 4, j >> 2, j & 3
    if turned:
        n, m, source, sink = d_out, d_in, plan[layer, NODE_OUT], plan[layer, NODE_IN]
        at, step, tile_step = plan[layer, FIRST] + top + j, d_in, TILE_INNER * d_in
        rows = n if top + j < m else 0
    else:
        n, m, source, sink = d_in, d_out, plan[layer, NODE_IN], plan[layer, NODE_OUT]
        at, step, tile_step = plan[layer, FIRST] + (top + across) * d_in + along, OWN * d_in, TILE_INNER
        rows = (m - top - across + OWN - 1) // OWN
    c = left + along
    deep, wide = n - across, np.uint64(c)
    if c >= a.shape[2]:
        deep, wide = 0, np.uint64(0)
    clear(sums)
    for k0 in range(-TILE_INNER, n, TILE_INNER):
        if k0 >= 0:
            cuda.syncthreads()
            store_weights(ahead, whole, turned, j)
            store_panel(ahead_a, panel, j)
            cuda.syncthreads()
        k1 = k0 + TILE_INNER
        if k1 < n:
            limit = rows - k1 if turned else (rows if k1 + along < n else 0)
            load_weights(weights, t, at, step, limit, ahead)
            at += tile_step
            load_panel(a, t, source + k1 + across, wide, deep - k1, ahead_a)
        if k0 >= 0:
            multiply(whole, panel, sums, ty, tx)
    i, c = top + ty * OWN, left + tx * OWN
    if not turned:
        lift(sums, bias, sink - plan[0, D_IN] + i, m - i)
    store_tile(sums, z, t, sink + i, m - i, c)


def correct(plan, layer, weights, mask, turned, columns, a, b, dz):
    """dz -= W (a + b) over pruned entries, after dz = W b; grid (blocks, n_trials), a thread an output of a column.

    ``turned`` takes the transposed matrix, and ``mask`` is then the transposed mask. Stacks are flat, as in
    ``cuda_passes``; a node has less than 2^32 entries.
    """
    t, own = np.uint64(cuda.blockIdx.y), np.uint32(np.int64(cuda.blockIdx.x) * THREADS_SPARSE + cuda.threadIdx.x)
    n, m, source, sink = plan[layer, D_IN], plan[layer, D_OUT], plan[layer, NODE_IN], plan[layer, NODE_OUT]
    width = np.uint32(columns)
    i = np.int64(own // width)
    at, entry, step = plan[layer, AT], plan[layer, FIRST] + i * n, np.int64(1)
    if turned:
        step = n
        at, entry = plan[layer, AT_TURNED], plan[layer, FIRST] + i
        n, m, source, sink = m, n, sink, source
    if i >= m:
        return
    row_words = (n + 31) >> 5
    out, c = np.uint64(sink * columns + np.int64(own)), np.int64(own % width)
    total = dz[t, out]
    for word in range(row_words):
        bits = mask[t, np.uint64(at + i * row_words + word)]
        while bits != 0:
            k = word * 32 + cuda.ffs(bits) - 1
            bits &= np.uint32(bits - np.uint32(1))
            place = np.uint64((source + k) * columns + c)
            total -= weights[t, np.uint64(entry + k * step)] * (a[t, place] + b[t, place])
    dz[t, out] = total
