"""CUDA kernels of the passes: products of the trials' matrices with panels of columns, masks applied on the way.

With a the target's vector and b the pruned network's deviation from it, the next deviation is the sum over kept entries
of W b minus the sum over pruned entries of W a: nothing cancels, and W is read once for both networks. The adjoint has
the same form with W transposed (a: adjoint of the target, b: that of the difference), so one kernel serves both ways.
Every output is one chain of fused operations in the order of the summed index, whatever the grid.

Arrays of columns are ``[n_trials, nodes, columns]``: the vectors of all nodes of the network, input first, one above the
other; layer l leads from node l to node l + 1, and ``turned`` leads back by the transposed matrix. ``plan`` says where
layers and nodes lie (``cuda_plan``).
"""

import numpy as np

from simprune.backends.compile_cuda import cuda
from simprune.backends.cuda_plan import AT, AT_TURNED, D_IN, D_OUT, FIRST, NODE_IN, NODE_OUT
from simprune.backends.cuda_scalars import difference32, difference64, slope32, slope64, value32, value64

TILE_ROWS = 64
TILE_COLUMNS = 16
TILE_INNER = 16
PADDED_ROWS = TILE_ROWS + 1
THREADS = 64
OWN = 4
LANES = 16
THREADS_FLAT = 256
THREADS_ROW = 32


def pair_product(plan, layer, weights, mask, turned, a, b, z, dz, bias):
    """z = W a + bias (none if turned), dz = W b over kept - W a over pruned; grid (row tiles, n_trials, column tiles)."""
    whole = cuda.shared.array((TILE_INNER, PADDED_ROWS), weights.dtype)
    gone = cuda.shared.array((TILE_INNER, PADDED_ROWS), weights.dtype)
    panel_a = cuda.shared.array((TILE_INNER, TILE_COLUMNS), weights.dtype)
    panel_b = cuda.shared.array((TILE_INNER, TILE_COLUMNS), weights.dtype)
    sums = cuda.local.array((OWN, OWN), weights.dtype)
    moved = cuda.local.array((OWN, OWN), weights.dtype)
    zero = weights.dtype.type(0)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    n, m = plan[layer, D_IN], plan[layer, D_OUT]
    source, sink = plan[layer, NODE_IN], plan[layer, NODE_OUT]
    if turned:
        n, m, source, sink = m, n, sink, source
    first, at, d_in = plan[layer, FIRST], plan[layer, AT], plan[layer, D_IN]
    top, left = cuda.blockIdx.x * TILE_ROWS, cuda.blockIdx.z * TILE_COLUMNS
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
                i = k0 + k if turned else top + r
                c = top + r if turned else k0 + k
                w = weights[t, first + i * d_in + c]
                pruned = mask[t, at + i * row_words + (c >> 5)] >> np.uint32(c & 31) & np.uint32(1) != 0
            whole[k, r] = w
            gone[k, r] = w if pruned else zero
        for s in range(OWN):
            k, c = s * OWN + (j >> 4), j & 15
            inside = k0 + k < n and left + c < a.shape[2]
            panel_a[k, c] = a[t, source + k0 + k, left + c] if inside else zero
            panel_b[k, c] = b[t, source + k0 + k, left + c] if inside else zero
        cuda.syncthreads()
        for k in range(TILE_INNER):
            for q in range(OWN):
                w, g = whole[k, ty + LANES * q], gone[k, ty + LANES * q]
                kept = w - g
                for p in range(OWN):
                    u = panel_a[k, tx + OWN * p]
                    sums[q, p] += w * u
                    moved[q, p] += kept * panel_b[k, tx + OWN * p]
                    moved[q, p] -= g * u
        cuda.syncthreads()
    for q in range(OWN):
        for p in range(OWN):
            i, c = top + ty + LANES * q, left + tx + OWN * p
            if i < m and c < a.shape[2]:
                z[t, sink + i, c] = sums[q, p] if turned else sums[q, p] + bias[sink - plan[0, D_IN] + i]
                dz[t, sink + i, c] = moved[q, p]


def product(plan, layer, weights, turned, a, z, bias):
    """z = W a + bias (no bias if turned); grid as for ``pair_product``."""
    whole = cuda.shared.array((TILE_INNER, PADDED_ROWS), weights.dtype)
    panel = cuda.shared.array((TILE_INNER, TILE_COLUMNS), weights.dtype)
    sums = cuda.local.array((OWN, OWN), weights.dtype)
    zero = weights.dtype.type(0)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    n, m = plan[layer, D_IN], plan[layer, D_OUT]
    source, sink = plan[layer, NODE_IN], plan[layer, NODE_OUT]
    if turned:
        n, m, source, sink = m, n, sink, source
    first, d_in = plan[layer, FIRST], plan[layer, D_IN]
    top, left = cuda.blockIdx.x * TILE_ROWS, cuda.blockIdx.z * TILE_COLUMNS
    ty, tx = j >> 2, j & 3
    for q in range(OWN):
        for p in range(OWN):
            sums[q, p] = zero
    for k0 in range(0, n, TILE_INNER):
        for s in range(TILE_INNER):
            k = s if turned else j & 15
            r = j if turned else s * OWN + (j >> 4)
            w = zero
            if top + r < m and k0 + k < n:
                i = k0 + k if turned else top + r
                c = top + r if turned else k0 + k
                w = weights[t, first + i * d_in + c]
            whole[k, r] = w
        for s in range(OWN):
            k, c = s * OWN + (j >> 4), j & 15
            inside = k0 + k < n and left + c < a.shape[2]
            panel[k, c] = a[t, source + k0 + k, left + c] if inside else zero
        cuda.syncthreads()
        for k in range(TILE_INNER):
            for q in range(OWN):
                w = whole[k, ty + LANES * q]
                for p in range(OWN):
                    sums[q, p] += w * panel[k, tx + OWN * p]
        cuda.syncthreads()
    for q in range(OWN):
        for p in range(OWN):
            i, c = top + ty + LANES * q, left + tx + OWN * p
            if i < m and c < a.shape[2]:
                z[t, sink + i, c] = sums[q, p] if turned else sums[q, p] + bias[sink - plan[0, D_IN] + i]


def correct(plan, layer, weights, mask, turned, a, b, dz):
    """dz -= W (a + b) over pruned entries, after dz = W b; grid (outputs, n_trials, column groups of 32), a warp a row.

    ``turned`` takes the transposed matrix, and ``mask`` is then the transposed mask.
    """
    t, i = cuda.blockIdx.y, cuda.blockIdx.x
    c = cuda.blockIdx.z * THREADS_ROW + cuda.threadIdx.x
    n, source, sink = plan[layer, D_IN], plan[layer, NODE_IN], plan[layer, NODE_OUT]
    at, entry, step = plan[layer, AT], plan[layer, FIRST] + i * n, 1
    if turned:
        step = n
        at, entry = plan[layer, AT_TURNED], plan[layer, FIRST] + i
        n, source, sink = plan[layer, D_OUT], sink, source
    if c >= dz.shape[2]:
        return
    row_words = (n + 31) >> 5
    total = dz[t, sink + i, c]
    for word in range(row_words):
        bits = mask[t, at + i * row_words + word]
        while bits != 0:
            k = word * 32 + cuda.ffs(bits) - 1
            bits &= np.uint32(bits - np.uint32(1))
            total -= weights[t, entry + k * step] * (a[t, source + k, c] + b[t, source + k, c])
    dz[t, sink + i, c] = total


def activate32(plan, layer, code, parameter, z, h):
    """h = s(z) behind a layer; grid (blocks, n_trials), a thread an entry. float32."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        h[t, k, c] = value32(code, parameter, z[t, k, c])


def activate64(plan, layer, code, parameter, z, h):
    """The same in float64."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        h[t, k, c] = value64(code, parameter, z[t, k, c])


def activate_pair32(plan, layer, code, parameter, z, dz, h, dh):
    """h = s(z) and dh = s(z + dz) - s(z); grid as for ``activate32``. float32."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        h[t, k, c] = value32(code, parameter, z[t, k, c])
        dh[t, k, c] = difference32(code, parameter, z[t, k, c], dz[t, k, c])


def activate_pair64(plan, layer, code, parameter, z, dz, h, dh):
    """The same in float64."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        h[t, k, c] = value64(code, parameter, z[t, k, c])
        dh[t, k, c] = difference64(code, parameter, z[t, k, c], dz[t, k, c])


def pull_back32(plan, layer, code, parameter, z, p):
    """p <- s'(z) p: the adjoint of one network's activation. float32."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        p[t, k, c] = slope32(code, parameter, z[t, k, c]) * p[t, k, c]


def pull_back64(plan, layer, code, parameter, z, p):
    """The same in float64."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        p[t, k, c] = slope64(code, parameter, z[t, k, c]) * p[t, k, c]


def pull_back_pair32(plan, layer, code, parameter, z, dz, q, e):
    """Adjoint of both activations: q <- s'(z) q, e <- s'(z) e + (s'(z + dz) - s'(z)) (q + e). float32."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        before, after = z[t, k, c], z[t, k, c] + dz[t, k, c]
        at, moved = slope32(code, parameter, before), slope32(code, parameter, after)
        target, difference = q[t, k, c], e[t, k, c]
        q[t, k, c] = at * target
        e[t, k, c] = at * difference + (moved - at) * (target + difference)


def pull_back_pair64(plan, layer, code, parameter, z, dz, q, e):
    """The same in float64."""
    m, node = plan[layer, D_OUT], plan[layer, NODE_OUT]
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * z.shape[2]:
        k, c = node + i // z.shape[2], i % z.shape[2]
        before, after = z[t, k, c], z[t, k, c] + dz[t, k, c]
        at, moved = slope64(code, parameter, before), slope64(code, parameter, after)
        target, difference = q[t, k, c], e[t, k, c]
        q[t, k, c] = at * target
        e[t, k, c] = at * difference + (moved - at) * (target + difference)
