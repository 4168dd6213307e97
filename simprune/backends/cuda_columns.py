"""CUDA kernels on columns ``[n_trials, d, columns]``: norms, normalisation, the projected step, and selections.

A block handles eight columns of a trial: thread j sums rows j // 8, j // 8 + 32, ... of column j % 8, then the 32 partial
sums are added pairwise; the order is fixed. Norms are scaled by the largest entry, so that no square under- or overflows.
Grid (ceil(columns / 8), n_trials) unless said otherwise.
"""

import math

import numpy as np

from simprune.backends.compile_cuda import cuda, device_function

THREADS = 256
GROUP = 8
LANES = THREADS // GROUP
THREADS_FLAT = 256


def _column_norm(a, t, row, m, c, spots):
    """Return the norm of column c of rows ``row .. row + m - 1`` in every thread of its group; all threads must call."""
    lane, g = cuda.threadIdx.x // GROUP, cuda.threadIdx.x % GROUP
    zero = a.dtype.type(0)
    largest = zero
    if c < a.shape[2]:
        for i in range(lane, m, LANES):
            largest = max(largest, math.fabs(a[t, row + i, c]))
    spots[lane, g] = largest
    cuda.syncthreads()
    half = LANES // 2
    while half > 0:
        if lane < half:
            spots[lane, g] = max(spots[lane, g], spots[lane + half, g])
        cuda.syncthreads()
        half //= 2
    largest = spots[0, g]
    cuda.syncthreads()
    total = zero
    if c < a.shape[2] and largest > zero:
        for i in range(lane, m, LANES):
            share = a[t, row + i, c] / largest
            total += share * share
    spots[lane, g] = total
    cuda.syncthreads()
    half = LANES // 2
    while half > 0:
        if lane < half:
            spots[lane, g] += spots[lane + half, g]
        cuda.syncthreads()
        half //= 2
    total = spots[0, g]
    cuda.syncthreads()
    return largest * math.sqrt(total)


column_norm = device_function(_column_norm)


def column_norms(a, row, m, norms):
    """Write the norms of the columns of ``m`` stacked rows, ``[n_trials, columns]``."""
    spots = cuda.shared.array((LANES, GROUP), a.dtype)
    t, c = cuda.blockIdx.y, cuda.blockIdx.x * GROUP + cuda.threadIdx.x % GROUP
    norm = column_norm(a, t, row, m, c, spots)
    if cuda.threadIdx.x < GROUP and c < a.shape[2]:
        norms[t, c] = norm


def normalise(a, row, m, norms, out):
    """out = ``m`` stacked rows of a, from ``row`` on, with columns divided by ``norms``; a zero column stays zero."""
    t, c = cuda.blockIdx.y, cuda.blockIdx.x * GROUP + cuda.threadIdx.x % GROUP
    if c < a.shape[2]:
        norm = norms[t, c]
        for i in range(cuda.threadIdx.x // GROUP, m, LANES):
            out[t, row + i, c] = a[t, row + i, c] / norm if norm > a.dtype.type(0) else a.dtype.type(0)


def to_sphere(x, count):
    """Divide the first ``count`` columns of x by their norms; the others become zero."""
    spots = cuda.shared.array((LANES, GROUP), x.dtype)
    t, c = cuda.blockIdx.y, cuda.blockIdx.x * GROUP + cuda.threadIdx.x % GROUP
    norm = column_norm(x, t, 0, x.shape[1], c, spots)
    if c < x.shape[2]:
        for i in range(cuda.threadIdx.x // GROUP, x.shape[1], LANES):
            x[t, i, c] = x[t, i, c] / norm if c < count else x.dtype.type(0)


def move(x, gradient, length, out):
    """out = projection on the unit ball of x + length * g / ||g||; inf length: g / ||g||; no gradient: x."""
    spots = cuda.shared.array((LANES, GROUP), x.dtype)
    t, c = cuda.blockIdx.y, cuda.blockIdx.x * GROUP + cuda.threadIdx.x % GROUP
    lane, d = cuda.threadIdx.x // GROUP, x.shape[1]
    zero, one = x.dtype.type(0), x.dtype.type(1)
    slope = column_norm(gradient, t, 0, d, c, spots)
    far = zero
    if c < x.shape[2]:
        far = length[t, c]
        for i in range(lane, d, LANES):
            unit = gradient[t, i, c] / slope if slope > zero else zero
            if not slope > zero:
                out[t, i, c] = x[t, i, c]
            elif far < x.dtype.type(np.inf):
                out[t, i, c] = x[t, i, c] + far * unit
            else:
                out[t, i, c] = unit
    cuda.syncthreads()
    norm = column_norm(out, t, 0, d, c, spots)
    if c < x.shape[2] and norm > one:
        for i in range(lane, d, LANES):
            out[t, i, c] = out[t, i, c] / norm


def choose(wanted, yes, no, out):
    """out = columns ``yes`` where ``wanted`` ``[n_trials, columns]`` is not 0, else ``no``; grid (blocks, n_trials)."""
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < out.shape[1] * out.shape[2]:
        k, c = i // out.shape[2], i % out.shape[2]
        out[t, k, c] = yes[t, k, c] if wanted[t, c] != 0 else no[t, k, c]


def take(x, columns, out):
    """out = column ``columns[t]`` of every trial, ``[n_trials, d]``; grid (blocks, n_trials)."""
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < out.shape[1]:
        out[t, i] = x[t, i, columns[t]]


def put_origin(x):
    """Set column 0 to zero; grid (blocks, n_trials)."""
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < x.shape[1]:
        x[t, i, 0] = x.dtype.type(0)


def copy_rows(a, source, out, sink, n):
    """Copy ``n`` entries of flat stacks, from ``source`` to ``sink`` on; grid (blocks, n_trials)."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < n:
        out[t, np.uint64(sink + i)] = a[t, np.uint64(source + i)]


def clear_rows(a, first, n):
    """Set ``n`` entries of a flat stack to zero, from ``first`` on; grid (blocks, n_trials)."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < n:
        a[t, np.uint64(first + i)] = a.dtype.type(0)
