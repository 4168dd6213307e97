"""CUDA kernels of the gap at one input, in float64 with a running bound of every rounding error.

The recursion of ``backends.evaluation`` with the deviation written as W dh over kept minus W h over pruned entries, whose
errors need no extra term for h + dh:
    edz = sum over kept |W| (edh + g |dh|) + sum over pruned |W| (eh + g |h|).
Its constants g = (d_in + 8) 2^-52 allow for sums in any order, fused or not. ``state`` ``[n_trials, 8, top]`` holds
h, eh, dh, edh, z, ez, dz, edz, ``top`` the largest width.
"""

import math

import numpy as np

from simprune.backends.compile_cuda import cuda
from simprune.backends.cuda_plan import AT, D_IN, D_OUT, FIRST, NODE_OUT
from simprune.backends.cuda_scalars import difference64, value64

H, EH, DH, EDH, Z, EZ, DZ, EDZ = range(8)
THREADS = 256
WARP = 32
ROWS_OF_BLOCK = THREADS // WARP
EPSILON = 2.0**-52


def evaluate_start(x, state):
    """h = x scaled into the unit ball, all errors and deviations 0; grid (1, n_trials)."""
    sums = cuda.shared.array(THREADS, np.float64)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    d = x.shape[1]
    own = 0.0
    for i in range(j, d, THREADS):
        own += x[t, i] * x[t, i]
    sums[j] = own
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if j < half:
            sums[j] += sums[j + half]
        cuda.syncthreads()
        half //= 2
    norm = math.sqrt(sums[0]) * (1.0 + (d + 8.0) * EPSILON)
    for i in range(j, d, THREADS):
        state[t, H, i] = x[t, i] / norm if norm > 1.0 else x[t, i]
        state[t, EH, i] = 0.0
        state[t, DH, i] = 0.0
        state[t, EDH, i] = 0.0


def evaluate_layer(plan, layer, weights, mask, bias, state):
    """Rows z, ez, dz, edz of one layer; grid (ceil(d_out / 8), n_trials), a warp a row."""
    sums = cuda.shared.array((4, THREADS), np.float64)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    lane, i = j % WARP, cuda.blockIdx.x * ROWS_OF_BLOCK + j // WARP
    first, at = plan[layer, FIRST], plan[layer, AT]
    d_out, d_in = plan[layer, D_OUT], plan[layer, D_IN]
    bias_row = plan[layer, NODE_OUT] - plan[0, D_IN]
    g = (d_in + 8.0) * EPSILON
    row_words = (d_in + 31) // 32
    z, ez, dz, edz = 0.0, 0.0, 0.0, 0.0
    if i < d_out:
        for word in range(row_words):
            k = word * 32 + lane
            if k < d_in:
                w = np.float64(weights[t, first + i * d_in + k])
                size, h, dh = math.fabs(w), state[t, H, k], state[t, DH, k]
                value_error = state[t, EH, k] + g * math.fabs(h)
                z += w * h
                ez += size * value_error
                if mask[t, at + i * row_words + word] >> np.uint32(lane) & np.uint32(1) != 0:
                    dz -= w * h
                    edz += size * value_error
                else:
                    dz += w * dh
                    edz += size * (state[t, EDH, k] + g * math.fabs(dh))
    sums[0, j], sums[1, j], sums[2, j], sums[3, j] = z, ez, dz, edz
    cuda.syncthreads()
    half = WARP // 2
    while half > 0:
        if lane < half:
            for q in range(4):
                sums[q, j] += sums[q, j + half]
        cuda.syncthreads()
        half //= 2
    if lane == 0 and i < d_out:
        sums[0, j] += bias[bias_row + i]
        sums[1, j] += g * math.fabs(bias[bias_row + i])
        for q in range(4):
            state[t, Z + q, i] = sums[q, j]


def evaluate_activation(code, parameter, lipschitz, curvature, at_zero, m, state):
    """h, eh, dh, edh of the next layer; grid (ceil(m / 256), n_trials)."""
    i, t = cuda.blockIdx.x * THREADS + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m:
        z, ez, dz, edz = state[t, Z, i], state[t, EZ, i], state[t, DZ, i], state[t, EDZ, i]
        h, dh = value64(code, parameter, z), difference64(code, parameter, z, dz)
        if curvature == np.inf:
            moved = z + dz
            safe = (z > 0.0) == (moved > 0.0) and min(math.fabs(z), math.fabs(moved)) > ez
            shift = 0.0 if safe else 2.0 * lipschitz * min(ez, math.fabs(dz))
        else:
            shift = min(curvature * ez, 2.0 * lipschitz) * math.fabs(dz)
        state[t, H, i] = h
        state[t, EH, i] = lipschitz * ez + 8.0 * EPSILON * (math.fabs(h) + at_zero)
        state[t, DH, i] = dh
        state[t, EDH, i] = lipschitz * edz + shift + 16.0 * EPSILON * (math.fabs(dh) + lipschitz * math.fabs(dz))


def evaluate_norm(m, state, gap):
    """``gap[t]`` = (gap, its error bound), ``[n_trials, 2]``; grid (1, n_trials)."""
    squares = cuda.shared.array((2, THREADS), np.float64)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    square, error = 0.0, 0.0
    for i in range(j, m, THREADS):
        square += state[t, DZ, i] * state[t, DZ, i]
        error += state[t, EDZ, i] * state[t, EDZ, i]
    squares[0, j], squares[1, j] = square, error
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if j < half:
            squares[0, j] += squares[0, j + half]
            squares[1, j] += squares[1, j + half]
        cuda.syncthreads()
        half //= 2
    if j == 0:
        gap[t, 0] = math.sqrt(squares[0, 0])
        gap[t, 1] = math.sqrt(squares[1, 0]) * (1.0 + 1e-9) + (m + 8.0) * EPSILON * gap[t, 0]
