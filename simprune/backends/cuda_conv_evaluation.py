"""CUDA kernels that carry the float64 state of ``cuda_evaluation`` through convolutions and pooling.

A correlation has at most as many terms as a row of its kernel, so g = (terms + 8) 2^-52; pooling as in
``conv_pooling.pool_errors``.
"""

import math

import numpy as np

from simprune.backends.compile_cuda import cuda, device_function
from simprune.backends.cuda_conv import source_node
from simprune.backends.cuda_evaluation import DH, DZ, EDH, EDZ, EH, EPSILON, EZ, ROWS_OF_BLOCK, THREADS, WARP, H, Z
from simprune.backends.cuda_plan import AT, BIAS, C_IN, D_IN, D_OUT, FIRST, GROUPS, KERNEL_H, KERNEL_W, OUT_H, OUT_W
from simprune.backends.cuda_pooling import first_row


def evaluate_convolution(plan, layer, weights, mask, bias, state):
    """Rows z, ez, dz, edz of one layer; grid (ceil(outputs / 8), n_trials), a warp an output."""
    sums = cuda.shared.array((4, THREADS), np.float64)
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    lane, i = j % WARP, cuda.blockIdx.x * ROWS_OF_BLOCK + j // WARP
    d_in, height, width = plan[layer, D_IN], plan[layer, OUT_H], plan[layer, OUT_W]
    n_outputs = plan[layer, D_OUT] * height * width
    own, y, x = i // (height * width), i // width % height, i % width
    group, channels = own // (plan[layer, D_OUT] // plan[layer, GROUPS]), plan[layer, C_IN] // plan[layer, GROUPS]
    kh, kw = plan[layer, KERNEL_H], plan[layer, KERNEL_W]
    g = (d_in + 8.0) * EPSILON
    row_words = (d_in + 31) // 32
    z, ez, dz, edz = 0.0, 0.0, 0.0, 0.0
    if i < n_outputs:
        for word in range(row_words):
            k = word * 32 + lane
            channel, tap = group * channels + k // (kh * kw), k % (kh * kw)
            node = source_node(plan, layer, False, channel, tap // kw, tap % kw, y, x) if k < d_in else -1
            if node >= 0:
                w = np.float64(weights[t, plan[layer, FIRST] + own * d_in + k])
                size, h, dh = math.fabs(w), state[t, H, node], state[t, DH, node]
                value_error = state[t, EH, node] + g * math.fabs(h)
                z += w * h
                ez += size * value_error
                if mask[t, plan[layer, AT] + own * row_words + word] >> np.uint32(lane) & np.uint32(1) != 0:
                    dz -= w * h
                    edz += size * value_error
                else:
                    dz += w * dh
                    edz += size * (state[t, EDH, node] + g * math.fabs(dh))
    sums[0, j], sums[1, j], sums[2, j], sums[3, j] = z, ez, dz, edz
    cuda.syncthreads()
    half = WARP // 2
    while half > 0:
        if lane < half:
            for q in range(4):
                sums[q, j] += sums[q, j + half]
        cuda.syncthreads()
        half //= 2
    if lane == 0 and i < n_outputs:
        sums[0, j] += bias[plan[layer, BIAS] + own]
        sums[1, j] += g * math.fabs(bias[plan[layer, BIAS] + own])
        for q in range(4):
            state[t, Z + q, i] = sums[q, j]


def _pool_average(window, first, place, state, t):
    z, dz, ez, edz, size, size_moved = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for a in range(window[3]):
        for b in range(window[4]):
            row = first + a * window[2] + b
            z += state[t, H, row]
            dz += state[t, DH, row]
            ez += state[t, EH, row]
            edz += state[t, EDH, row]
            size += math.fabs(state[t, H, row])
            size_moved += math.fabs(state[t, DH, row])
    n = float(window[3] * window[4])
    g = (n + 8.0) * EPSILON
    state[t, Z, place], state[t, EZ, place] = z / n, (ez + g * size) / n
    state[t, DZ, place], state[t, EDZ, place] = dz / n, (edz + g * size_moved) / n


def _pool_maximum(window, first, place, state, t):
    m = first
    for a in range(window[3]):
        for b in range(window[4]):
            row = first + a * window[2] + b
            if state[t, H, row] > state[t, H, m]:
                m = row
    top, at_top = state[t, H, m], state[t, DH, m]
    value, stays, worst, worst_moved = at_top, True, 0.0, 0.0
    low, high, size = at_top - state[t, EDH, m], at_top + state[t, EDH, m], 0.0
    for a in range(window[3]):
        for b in range(window[4]):
            row = first + a * window[2] + b
            dh, eh, edh = state[t, DH, row], state[t, EH, row], state[t, EDH, row]
            moved = (state[t, H, row] - top) + dh
            if moved > value:
                value, stays = moved, False
            worst, worst_moved = max(worst, eh), max(worst_moved, eh + edh)
            low, high, size = min(low, dh - edh), max(high, dh + edh), max(size, math.fabs(dh))
            if row != m:
                apart = (top - state[t, H, row]) * (1.0 - 2.0 * EPSILON)
                apart_moved = apart + at_top - dh
                reach = state[t, EH, m] + eh
                slack = 4.0 * EPSILON * (math.fabs(at_top) + math.fabs(dh) + apart)
                stays = stays and apart > reach and apart_moved > reach + state[t, EDH, m] + edh + slack
    spread = high - low + 4.0 * EPSILON * size
    rounding = 2.0 * EPSILON * (spread + math.fabs(value))
    state[t, Z, place], state[t, EZ, place] = top, worst
    state[t, DZ, place] = value
    state[t, EDZ, place] = state[t, EDH, m] if stays else min(spread, worst + worst_moved + rounding)


pool_average, pool_maximum = device_function(_pool_average), device_function(_pool_maximum)


def evaluate_pool(window, m, state):
    """Rows z, ez, dz, edz of ``m`` pooled places; grid (ceil(m / 256), n_trials)."""
    place, t = cuda.blockIdx.x * THREADS + cuda.threadIdx.x, cuda.blockIdx.y
    if place < m:
        first = first_row(window, place)
        if window[9] != 0:
            pool_maximum(window, first, place, state, t)
        else:
            pool_average(window, first, place, state, t)
