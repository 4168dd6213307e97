"""Philox4x32-10 in planar blocks, vectorised by the compiler, and the rank keys made of its words."""

import numpy as np

from simprune.backends.compile import inner
from simprune.rng import BLOCK, MULTIPLIERS, PLANE, WEYL

M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
W0, W1 = np.uint64(WEYL[0]), np.uint64(WEYL[1])
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MAGNITUDE32 = np.int32(0x7FFFFFFF)
MAGNITUDE64 = np.uint64(0x7FFFFFFF)
LOW_SHIFT = np.uint64(22)
LOW_DROP = np.uint64(10)


@inner
def fill_block(block, k0, k1, stream, trial, out):
    """Write the 1024 words of planar block ``block`` of (key, stream, trial) to ``out`` (uint32 ``[1024]``)."""
    o0, o1, o2, o3 = out[:PLANE], out[PLANE : 2 * PLANE], out[2 * PLANE : 3 * PLANE], out[3 * PLANE : 4 * PLANE]
    base = np.uint64(block) * np.uint64(PLANE)
    c1, c2, c3 = np.uint64(stream) & LOW, np.uint64(trial) & LOW, np.uint64(trial) >> HALF
    # Two counters at a time: the rounds of one are a chain of waits, too long for a processor to look beyond.
    for j in range(PLANE // 2):
        a0, a1, a2, a3 = (base + np.uint64(j)) & LOW, c1, c2, c3
        b0, b1, b2, b3 = (base + np.uint64(j + PLANE // 2)) & LOW, c1, c2, c3
        q0, q1 = np.uint64(k0) & LOW, np.uint64(k1) & LOW
        for _ in range(10):
            p0, p1, r0, r1 = a0 * M0, a2 * M1, b0 * M0, b2 * M1
            a0, a1, a2, a3 = (p1 >> HALF) ^ a1 ^ q0, p1 & LOW, (p0 >> HALF) ^ a3 ^ q1, p0 & LOW
            b0, b1, b2, b3 = (r1 >> HALF) ^ b1 ^ q0, r1 & LOW, (r0 >> HALF) ^ b3 ^ q1, r0 & LOW
            q0, q1 = (q0 + W0) & LOW, (q1 + W1) & LOW
        o0[j], o0[j + PLANE // 2] = np.uint32(a0), np.uint32(b0)
        o1[j], o1[j + PLANE // 2] = np.uint32(a1), np.uint32(b1)
        o2[j], o2[j + PLANE // 2] = np.uint32(a2), np.uint32(b2)
        o3[j], o3[j + PLANE // 2] = np.uint32(a3), np.uint32(b3)


@inner
def fill_words(k0, k1, stream, trial, out):
    """Write the first ``out.size`` words of (key, stream, trial)."""
    whole = out.size // BLOCK
    for block in range(whole):
        fill_block(block, k0, k1, stream, trial, out[block * BLOCK : (block + 1) * BLOCK])
    rest = out.size - whole * BLOCK
    if rest:
        words = np.empty(BLOCK, np.uint32)
        fill_block(whole, k0, k1, stream, trial, words)
        for i in range(rest):
            out[whole * BLOCK + i] = words[i]


@inner
def keys31(words, keys):
    """Write the 31-bit rank keys (int32) of the words."""
    for i in range(words.size):
        keys[i] = np.int32(words[i]) & MAGNITUDE32


@inner
def keys53(words, low, keys):
    """Write the 53-bit rank keys (int64) of high and low words."""
    for i in range(words.size):
        keys[i] = np.int64((np.uint64(words[i]) & MAGNITUDE64) << LOW_SHIFT | np.uint64(low[i]) >> LOW_DROP)
