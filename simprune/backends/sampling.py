"""Weights, rank keys and random inputs of a batch of trials."""

import numpy as np
from numba import types
from numba.extending import intrinsic

from simprune.backends.assign import clear
from simprune.backends.compile import inner, kernel, leaf
from simprune.backends.gaussian_tile import WORDS, gaussian_tile
from simprune.backends.philox import MAGNITUDE32, fill_block, fill_uniform, fill_words, keys31, keys53
from simprune.backends.selection import LANES, flag_words, list_words
from simprune.model.distributions import DISTRIBUTIONS, Gaussian, Laplace, Rademacher, Uniform
from simprune.model.scalars import half_normal_quantile
from simprune.rng import BLOCK

LAW_CODES = {law: code for code, law in enumerate(DISTRIBUTIONS)}
UNIFORM, GAUSSIAN = LAW_CODES[Uniform], LAW_CODES[Gaussian]
LAPLACE, RADEMACHER = LAW_CODES[Laplace], LAW_CODES[Rademacher]
SIGN32 = np.int32(-0x80000000)
SIGN_SHIFT = np.uint32(31)
STEP31 = 2.0**-31
STEP53 = 2.0**-53
TOP53 = np.int64((1 << 53) - 1)

_gaussian = leaf(Gaussian.magnitude)
_laplace = leaf(Laplace.magnitude)
_half_normal = leaf(half_normal_quantile)


@intrinsic
def _bits(typing_context, x):
    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.int32))

    return types.int32(types.float32), generate


@intrinsic
def _float(typing_context, x):
    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


@inner
def uniform31(words, scale, weights):
    """Weights (float32) of U[-scale, scale] from 32-bit words: sign bit and 31-bit magnitude."""
    step = np.float32(scale * STEP31)
    for i in range(words.size):
        word = np.int32(words[i])
        magnitude = (np.float32(word & MAGNITUDE32) + np.float32(0.5)) * step
        weights[i] = _float(_bits(magnitude) | (word & SIGN32))


@inner
def gaussian31(words, scale, weights):
    """Weights (float32) of N(0, scale^2) by inversion, relative error below 4e-7 (``gaussian_tile``)."""
    factor, whole = np.float32(np.sqrt(2.0) * scale), words.size - words.size % WORDS
    for start in range(0, whole, WORDS):
        gaussian_tile(words, start, factor, weights)
    if whole < words.size:
        last, own = np.empty(WORDS, np.uint32), np.empty(WORDS, np.float32)
        clear(last)
        for i in range(whole, words.size):
            last[i - whole] = words[i]
        gaussian_tile(last, 0, factor, own)
        for i in range(whole, words.size):
            weights[i] = own[i - whole]


@inner
def _magnitude(law, u, complement):
    if law == UNIFORM:
        return u
    if law == GAUSSIAN:
        return _gaussian(u, complement)
    if law == LAPLACE:
        return _laplace(u, complement)
    return 1.0


@inner
def by_inversion31(law, words, scale, weights):
    """Weights of any law from 32-bit words, each rounded once from float64."""
    for i in range(words.size):
        key = np.float64(np.int32(words[i]) & MAGNITUDE32)
        magnitude = scale * _magnitude(law, (key + 0.5) * STEP31, (2147483648.0 - key - 0.5) * STEP31)
        weights[i] = -magnitude if words[i] >> SIGN_SHIFT else magnitude


@inner
def by_inversion53(law, words, keys, scale, weights):
    """Weights (float64) of any law from signs (top bit of ``words``) and 53-bit keys."""
    for i in range(words.size):
        u = (np.float64(keys[i]) + 0.5) * STEP53
        complement = (np.float64(TOP53 - keys[i]) + 0.5) * STEP53
        magnitude = scale * _magnitude(law, u, complement)
        weights[i] = -magnitude if words[i] >> SIGN_SHIFT else magnitude


@inner
def _weights31(law, words, scale, weights):
    if law == UNIFORM:
        uniform31(words, scale, weights)
    elif law == GAUSSIAN:
        gaussian31(words, scale, weights)
    else:
        by_inversion31(law, words, scale, weights)


@inner
def sample_layer32(k0, k1, stream, trial, law, scale, weights, keys):
    """Fill one layer's weights (float32, flat) and rank keys (int32)."""
    words = np.empty(BLOCK, np.uint32)
    for start in range(0, weights.size, BLOCK):
        stop = min(start + BLOCK, weights.size)
        fill_block(start // BLOCK, k0, k1, stream, trial, words)
        part = words[: stop - start]
        _weights31(law, part, scale, weights[start:stop])
        if law == RADEMACHER:
            clear(keys[start:stop])
        else:
            keys31(part, keys[start:stop])


# Places past a layer's end: the rest of 32 words, and what a packed store writes behind the last one.
SPARE = 2 * LANES


@inner
def sample_listed32(k0, k1, stream, trial, law, scale, weights, high, listed):
    """Fill one layer's weights and list the keys <= high with their places, all in one pass; return their number.

    ``law`` None means uniform: then nothing of the other laws is compiled.
    ``listed`` = (places (int32), keys (int32)), both with room for all weights and SPARE more.
    """
    places, near = listed
    words, flags, spare = np.empty(BLOCK, np.uint32), np.empty(BLOCK // LANES, np.uint32), np.empty(BLOCK, np.float32)
    step, count = np.float32(scale * STEP31), 0
    for start in range(0, weights.size, BLOCK):
        size, block = min(BLOCK, weights.size - start), start // BLOCK
        if law is None:
            own = weights[start : start + BLOCK] if size == BLOCK else spare
            fill_uniform(block, k0, k1, stream, trial, words, step, high, own, flags)
            if size < BLOCK:
                for i in range(size):
                    weights[start + i] = spare[i]
        else:
            fill_block(block, k0, k1, stream, trial, words)
            _weights31(law, words[:size], scale, weights[start : start + size])
            flag_words(words, high, flags)
        found = list_words(words[: (size + LANES - 1) // LANES * LANES], flags, high, places[count:])
        while found and places[count + found - 1] >= size:
            found -= 1
        for p in range(count, count + found):
            near[p] = np.int32(words[places[p]]) & MAGNITUDE32
            places[p] += start
        count += found
    return count


@inner
def sample_layer64(k0, k1, stream, low_stream, trial, law, scale, weights, keys):
    """Fill one layer's weights (float64, flat) and rank keys (int64)."""
    words, low = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    for start in range(0, weights.size, BLOCK):
        stop = min(start + BLOCK, weights.size)
        fill_block(start // BLOCK, k0, k1, stream, trial, words)
        fill_block(start // BLOCK, k0, k1, low_stream, trial, low)
        keys53(words[: stop - start], low[: stop - start], keys[start:stop])
        by_inversion53(law, words[: stop - start], keys[start:stop], scale, weights[start:stop])
        if law == RADEMACHER:
            clear(keys[start:stop])


@inner
def mask_keys32(k0, k1, stream, trial, keys):
    """Fill the 31-bit random rank keys of one layer."""
    words = np.empty(BLOCK, np.uint32)
    for start in range(0, keys.size, BLOCK):
        stop = min(start + BLOCK, keys.size)
        fill_block(start // BLOCK, k0, k1, stream, trial, words)
        keys31(words[: stop - start], keys[start:stop])


@inner
def mask_keys64(k0, k1, stream, low_stream, trial, keys):
    """Fill the 53-bit random rank keys of one layer."""
    words, low = np.empty(BLOCK, np.uint32), np.empty(BLOCK, np.uint32)
    for start in range(0, keys.size, BLOCK):
        stop = min(start + BLOCK, keys.size)
        fill_block(start // BLOCK, k0, k1, stream, trial, words)
        fill_block(start // BLOCK, k0, k1, low_stream, trial, low)
        keys53(words[: stop - start], low[: stop - start], keys[start:stop])


@kernel
def sphere_inputs(k0, k1, stream, trials, count, out):
    """Fill ``out[:, :, :count]`` (``[n_trials, d_0, columns]``) with uniform points of the unit sphere, the rest with 0."""
    d = out.shape[1]
    words = np.empty(count * d, np.uint32)
    column = np.empty(d, np.float64)
    for t in range(trials.size):
        fill_words(k0, k1, stream, trials[t], words)
        clear(out[t])
        for c in range(count):
            square = 0.0
            for i in range(d):
                word = words[c * d + i]
                key = np.float64(np.int32(word) & MAGNITUDE32)
                g = _half_normal((key + 0.5) * STEP31, (2147483648.0 - key - 0.5) * STEP31)
                column[i] = -g if word >> SIGN_SHIFT else g
                square += g * g
            norm = np.sqrt(square)
            for i in range(d):
                out[t, i, c] = column[i] / norm
