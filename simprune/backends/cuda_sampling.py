"""CUDA kernels that draw: weights, rank keys and random inputs straight from Philox, a thread a counter.

A thread computes one counter, four words, and writes the four elements that they belong to; elements of neighbouring
threads are neighbours. ``blockIdx.x`` is the planar block of 1024 elements, ``blockIdx.y`` the trial.
"""

import math

import numpy as np

from simprune.backends.compile_cuda import cuda
from simprune.backends.cuda_plan import D_IN, D_OUT, FIRST
from simprune.backends.cuda_scalars import MAGNITUDE, gaussian31, half_normal64, key53, philox4, weight32, weight64
from simprune.backends.sampling import LAW_CODES, STEP31
from simprune.model.distributions import Rademacher
from simprune.rng import BLOCK, PLANE

RADEMACHER = LAW_CODES[Rademacher]
SIGN = np.uint32(31)
TOP = np.uint32(0x7FFFFFFF)
ROOT2 = math.sqrt(2.0)


def sample32(k0, k1, stream, trials, law, factor, plan, layer, weights, keys):
    """Fill weights (float32) and 31-bit keys of a layer, both ``[n_trials, n_weights]``."""
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, n = plan[layer, FIRST], plan[layer, D_OUT] * plan[layer, D_IN]
    base = cuda.blockIdx.x * BLOCK + j
    a0, a1, a2, a3 = philox4(cuda.blockIdx.x * PLANE + j, stream, trials[t], k0, k1)
    for plane in range(4):
        word = a0 if plane == 0 else (a1 if plane == 1 else (a2 if plane == 2 else a3))
        e = base + plane * PLANE
        if e < n:
            weights[t, first + e] = weight32(law, word, factor)
            keys[t, first + e] = np.uint32(0) if law == RADEMACHER else np.uint32(word & MAGNITUDE)


def sample64(k0, k1, streams, trials, law, factor, plan, layer, weights, keys):
    """Fill weights (float64) and 53-bit keys; ``streams`` packs the streams of the high and (upper half) low words."""
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, n = plan[layer, FIRST], plan[layer, D_OUT] * plan[layer, D_IN]
    base = cuda.blockIdx.x * BLOCK + j
    counter = cuda.blockIdx.x * PLANE + j
    a0, a1, a2, a3 = philox4(counter, streams, trials[t], k0, k1)
    b0, b1, b2, b3 = philox4(counter, streams >> np.uint64(32), trials[t], k0, k1)
    for plane in range(4):
        word = a0 if plane == 0 else (a1 if plane == 1 else (a2 if plane == 2 else a3))
        low = b0 if plane == 0 else (b1 if plane == 1 else (b2 if plane == 2 else b3))
        e = base + plane * PLANE
        if e < n:
            key = key53(word, low)
            weights[t, first + e] = weight64(law, word, key, factor)
            keys[t, first + e] = np.uint64(0) if law == RADEMACHER else key


def mask_keys32(k0, k1, stream, trials, plan, layer, keys):
    """Fill the 31-bit random rank keys of a layer, ``[n_trials, n_weights]``."""
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, n = plan[layer, FIRST], plan[layer, D_OUT] * plan[layer, D_IN]
    base = cuda.blockIdx.x * BLOCK + j
    a0, a1, a2, a3 = philox4(cuda.blockIdx.x * PLANE + j, stream, trials[t], k0, k1)
    for plane in range(4):
        word = a0 if plane == 0 else (a1 if plane == 1 else (a2 if plane == 2 else a3))
        e = base + plane * PLANE
        if e < n:
            keys[t, first + e] = np.uint32(word & MAGNITUDE)


def mask_keys64(k0, k1, streams, trials, plan, layer, keys):
    """Fill the 53-bit random rank keys; ``streams`` as for ``sample64``."""
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    first, n = plan[layer, FIRST], plan[layer, D_OUT] * plan[layer, D_IN]
    base = cuda.blockIdx.x * BLOCK + j
    counter = cuda.blockIdx.x * PLANE + j
    a0, a1, a2, a3 = philox4(counter, streams, trials[t], k0, k1)
    b0, b1, b2, b3 = philox4(counter, streams >> np.uint64(32), trials[t], k0, k1)
    for plane in range(4):
        word = a0 if plane == 0 else (a1 if plane == 1 else (a2 if plane == 2 else a3))
        low = b0 if plane == 0 else (b1 if plane == 1 else (b2 if plane == 2 else b3))
        e = base + plane * PLANE
        if e < n:
            keys[t, first + e] = key53(word, low)


def normals32(k0, k1, stream, trials, count, x):
    """Fill column c < count of ``x`` ``[n_trials, d, columns]`` with normal elements c d .. c d + d - 1 of the stream."""
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    d = x.shape[1]
    base = cuda.blockIdx.x * BLOCK + j
    a0, a1, a2, a3 = philox4(cuda.blockIdx.x * PLANE + j, stream, trials[t], k0, k1)
    for plane in range(4):
        word = a0 if plane == 0 else (a1 if plane == 1 else (a2 if plane == 2 else a3))
        e = base + plane * PLANE
        if e < count * d:
            size = gaussian31(np.uint32(word & MAGNITUDE)) * np.float32(ROOT2)
            x[t, e % d, e // d] = -size if np.uint32(word) >> SIGN else size


def normals64(k0, k1, stream, trials, count, x):
    """The same in float64, of the same words."""
    j, t = cuda.threadIdx.x, cuda.blockIdx.y
    d = x.shape[1]
    base = cuda.blockIdx.x * BLOCK + j
    a0, a1, a2, a3 = philox4(cuda.blockIdx.x * PLANE + j, stream, trials[t], k0, k1)
    for plane in range(4):
        word = a0 if plane == 0 else (a1 if plane == 1 else (a2 if plane == 2 else a3))
        e = base + plane * PLANE
        if e < count * d:
            key = np.uint32(word & MAGNITUDE)
            u = (np.float64(key) + 0.5) * STEP31
            size = half_normal64(u, (np.float64(np.uint32(TOP - key)) + 0.5) * STEP31)
            x[t, e % d, e // d] = -size if np.uint32(word) >> SIGN else size
