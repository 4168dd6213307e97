"""Philox4x32-10 in planar blocks, and the rank keys made of its words."""

import numpy as np

from simprune.backends.compile import inner
from simprune.backends.philox_tile import COUNTERS, philox_uniform, philox_words
from simprune.rng import BLOCK, PLANE

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
MAGNITUDE32 = np.int32(0x7FFFFFFF)
MAGNITUDE64 = np.uint64(0x7FFFFFFF)
LOW_SHIFT = np.uint64(22)
LOW_DROP = np.uint64(10)


@inner
def counter_and_key(block, k0, k1, stream, trial):
    """Return the first counter and the key of planar block ``block``, as ``philox_tile`` takes them."""
    first = np.int64(block) * np.int64(PLANE)
    high = np.int64(np.uint64(trial) >> HALF)
    counter = first, np.int64(np.uint64(stream) & LOW), np.int64(np.uint64(trial) & LOW), high
    return counter, (np.int64(np.uint64(k0) & LOW), np.int64(np.uint64(k1) & LOW))


@inner
def fill_block(block, k0, k1, stream, trial, out):
    """Write the 1024 words of planar block ``block`` of (key, stream, trial) to ``out`` (uint32 ``[1024]``)."""
    (first, c1, c2, c3), key = counter_and_key(block, k0, k1, stream, trial)
    for j in range(0, PLANE, COUNTERS):
        philox_words((first + j, c1, c2, c3), key, out, j, PLANE)


@inner
def fill_uniform(block, k0, k1, stream, trial, out, step, bound, weights, flags):
    """Do the same and write the block's weights of a uniform law and which keys are <= ``bound`` (``philox_uniform``)."""
    (first, c1, c2, c3), key = counter_and_key(block, k0, k1, stream, trial)
    for j in range(0, PLANE, COUNTERS):
        philox_uniform((first + j, c1, c2, c3), key, out, j, PLANE, step, bound, weights, flags)


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
