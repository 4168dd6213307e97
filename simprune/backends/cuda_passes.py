"""CUDA kernels of the activations, there and back, for the target and the pruned network's deviation from it.

Arrays are flat stacks of nodes, ``[n_trials, nodes x columns]``: the columns of a node lie one behind the other, and a
thread is an entry of them.
"""

import numpy as np

from simprune.backends.compile_cuda import cuda
from simprune.backends.cuda_plan import D_OUT, NODE_OUT
from simprune.backends.cuda_scalars import difference32, difference64, slope32, slope64, value32, value64

THREADS_FLAT = 256


def activate32(plan, layer, code, parameter, columns, z, h):
    """h = s(z) behind a layer; grid (blocks, n_trials), a thread an entry. float32."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        h[t, k] = value32(code, parameter, z[t, k])


def activate64(plan, layer, code, parameter, columns, z, h):
    """The same in float64."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        h[t, k] = value64(code, parameter, z[t, k])


def activate_pair32(plan, layer, code, parameter, columns, z, dz, h, dh):
    """h = s(z) and dh = s(z + dz) - s(z); grid as for ``activate32``. float32."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        h[t, k] = value32(code, parameter, z[t, k])
        dh[t, k] = difference32(code, parameter, z[t, k], dz[t, k])


def activate_pair64(plan, layer, code, parameter, columns, z, dz, h, dh):
    """The same in float64."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        h[t, k] = value64(code, parameter, z[t, k])
        dh[t, k] = difference64(code, parameter, z[t, k], dz[t, k])


def pull_back32(plan, layer, code, parameter, columns, z, p):
    """p <- s'(z) p: the adjoint of one network's activation. float32."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        p[t, k] = slope32(code, parameter, z[t, k]) * p[t, k]


def pull_back64(plan, layer, code, parameter, columns, z, p):
    """The same in float64."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        p[t, k] = slope64(code, parameter, z[t, k]) * p[t, k]


def pull_back_pair32(plan, layer, code, parameter, columns, z, dz, q, e):
    """Adjoint of both activations: q <- s'(z) q, e <- s'(z) e + (s'(z + dz) - s'(z)) (q + e). float32."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        before, after = z[t, k], z[t, k] + dz[t, k]
        at, moved = slope32(code, parameter, before), slope32(code, parameter, after)
        target, difference = q[t, k], e[t, k]
        q[t, k] = at * target
        e[t, k] = at * difference + (moved - at) * (target + difference)


def pull_back_pair64(plan, layer, code, parameter, columns, z, dz, q, e):
    """The same in float64."""
    i, t = np.int64(cuda.blockIdx.x) * THREADS_FLAT + cuda.threadIdx.x, np.uint64(cuda.blockIdx.y)
    if i < plan[layer, D_OUT] * columns:
        k = np.uint64(plan[layer, NODE_OUT] * columns + i)
        before, after = z[t, k], z[t, k] + dz[t, k]
        at, moved = slope64(code, parameter, before), slope64(code, parameter, after)
        target, difference = q[t, k], e[t, k]
        q[t, k] = at * target
        e[t, k] = at * difference + (moved - at) * (target + difference)
