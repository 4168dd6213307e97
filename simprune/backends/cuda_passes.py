"""CUDA kernels of the activations, there and back, for the target and the pruned network's deviation from it.

Arrays of columns are stacks of nodes as in ``cuda_products``; a thread an entry of a node and column.
"""

from simprune.backends.compile_cuda import cuda
from simprune.backends.cuda_plan import D_OUT, NODE_OUT
from simprune.backends.cuda_scalars import difference32, difference64, slope32, slope64, value32, value64

THREADS_FLAT = 256


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
