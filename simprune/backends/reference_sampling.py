"""Random words, weights, rank keys and masks of one trial, as arrays: the sampling contract written for reading.

Element e of layer l (flat index ``i * d_in + j``) owns one 32-bit word. Its top bit is the sign, its low 31 bits are
``key31``; float64 points append the top 22 bits of a second word to form ``key53``. With B key bits,
``u = (key + 1/2) 2^-B`` and ``1 - u = (2^B - key - 1/2) 2^-B``, both exact in integers before the one rounding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.model.scalars import half_normal_quantile
from simprune.rng import BLOCK, MULTIPLIERS, PLANE, WEYL, Purpose, stream

Words = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]
Key = tuple[int, int]

MASK32 = np.uint64(0xFFFFFFFF)
SHIFT32 = np.uint64(32)
KEY_BITS = {"float32": 31, "float64": 53}


def words(key: Key, purpose: Purpose, layer: int, *, trial: int, count: int) -> Words:
    """Return the words of elements ``0 .. count - 1`` at one address, ``[count]``, each below 2^32."""
    n_blocks = -(-count // BLOCK)
    c0 = np.arange(n_blocks * PLANE, dtype=np.uint64)
    c1 = np.full_like(c0, stream(purpose, layer))
    c2 = np.full_like(c0, trial & 0xFFFFFFFF)
    c3 = np.full_like(c0, trial >> 32)
    k0, k1 = key
    for _ in range(10):
        p0 = c0 * np.uint64(MULTIPLIERS[0])
        p1 = c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (p1 >> SHIFT32) ^ c1 ^ np.uint64(k0),
            p1 & MASK32,
            (p0 >> SHIFT32) ^ c3 ^ np.uint64(k1),
            p0 & MASK32,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    planes = [c.reshape(n_blocks, PLANE) for c in (c0, c1, c2, c3)]
    return np.stack(planes, axis=1).reshape(-1)[:count]


def rank_keys(
    key: Key, purpose: Purpose, layer: int, *, trial: int, count: int, bits: int
) -> tuple[Words, npt.NDArray[np.bool_]]:
    """Return the keys of ``bits`` (31 or 53) random bits and the signs (True = negative) of a layer's elements."""
    high = words(key, purpose, layer, trial=trial, count=count)
    keys = high & np.uint64(0x7FFFFFFF)
    if bits == 53:
        low_purpose = {Purpose.WEIGHT: Purpose.WEIGHT_LOW, Purpose.MASK: Purpose.MASK_LOW}[purpose]
        low = words(key, low_purpose, layer, trial=trial, count=count)
        keys = keys << np.uint64(22) | low >> np.uint64(10)
    return keys, high >> np.uint64(31) == 1


def magnitudes(law: Callable[[float, float], float], keys: Words, bits: int) -> Doubles:
    """Return ``law(u, 1 - u)`` of every key, ``[count]``."""
    unit = 2.0**-bits
    values = [law((key + 0.5) * unit, ((1 << bits) - key - 0.5) * unit) for key in keys.tolist()]
    return np.array(values, dtype=np.float64)


def sampled_layer(
    network: NetworkSpec, key: Key, *, layer: int, trial: int, precision: str
) -> tuple[npt.NDArray[Any], Words]:
    """Return one layer's weights ``[d_out, d_in]`` in ``precision`` and the keys ``[d_out * d_in]`` that rank them."""
    law, shape = network.distribution, network.shapes[layer]
    assert law is not None
    count = shape[0] * shape[1]
    bits = KEY_BITS[precision]
    keys, negative = rank_keys(key, Purpose.WEIGHT, layer, trial=trial, count=count, bits=bits)
    size = network.scales[layer] * magnitudes(law.magnitude, keys, bits)
    weights = np.where(negative, -size, size).astype(precision).reshape(shape)
    return weights, keys if law.is_continuous else np.zeros_like(keys)


def keys_of_values(weights: npt.NDArray[Any]) -> Words:
    """Return the bits of |w|, which order as |w| does, ``[n_weights]``."""
    bits = np.uint32 if weights.dtype == np.float32 else np.uint64
    return np.ascontiguousarray(np.abs(weights)).view(bits).reshape(-1).astype(np.uint64)


def kept(rule: AbstractPruningRule, weight_keys: Words, mask_keys: Words, *, layer: int, bits: int) -> npt.NDArray[np.bool_]:
    """Return the mask of one layer (True = kept), ``[n_weights]``.

    Rules of exact count prune the ``n_pruned`` smallest keys, ties to the lower flat index; the bernoulli rule prunes
    keys below ``floor(n_pruned * 2^bits / n_weights)``.
    """
    n_weights = len(weight_keys)
    n_pruned = rule.n_pruned(n_weights, layer)
    keys = mask_keys if rule.is_random else weight_keys
    if not rule.exact_count:
        bound = (n_pruned << bits) // n_weights
        return keys >= np.uint64(bound)
    mask = np.ones(n_weights, dtype=np.bool_)
    mask[np.argsort(keys, kind="stable")[:n_pruned]] = False
    return mask


def sphere_points(key: Key, purpose: Purpose, *, trial: int, shape: tuple[int, int]) -> Doubles:
    """Return ``shape[1]`` uniform points of the unit sphere as the columns of a ``[d_0, count]`` array.

    Coordinate i of point c is element ``c * d_0 + i`` of layer 0; Gaussians come from 31 bits in every precision.
    """
    d_in, count = shape
    keys, negative = rank_keys(key, purpose, 0, trial=trial, count=d_in * count, bits=31)
    size = magnitudes(half_normal_quantile, keys, 31)
    points = np.where(negative, -size, size).reshape(count, d_in)
    return np.ascontiguousarray((points / np.linalg.norm(points, axis=1, keepdims=True)).T)
