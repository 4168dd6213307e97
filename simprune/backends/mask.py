"""``magnitude_mask``: the k entries of smallest magnitude of any array, exact with ties."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.compile import inner, kernel
from simprune.backends.lanes import compare_lanes, lowest_bit
from simprune.model.errors import InputError

_below = compare_lanes(or_equal=False)
_at_most = compare_lanes(or_equal=True)
LANES = 32
SAMPLE_RUN = 256
SMALL = 4096
SHARE = 32


@inner
def _magnitudes(bits, top, largest, out):
    """Write the magnitudes; return the largest of them and ``largest``."""
    for i in range(bits.size):
        out[i] = bits[i] & top
        largest = max(largest, out[i])
    return largest


@kernel
def _scan(bits, top, low, high, kept, spot, near):
    """Mark |x| < low as pruned and list positions and magnitudes of low <= |x| <= high.

    Returns both counts (-1: no room) and the largest magnitude.
    """
    below, listed, n, largest = 0, 0, bits.size, bits.dtype.type(0)
    chunk = np.empty(1024, bits.dtype)
    for first in range(0, n, 1024):
        size = min(1024, n - first)
        part = chunk[:size]
        largest = _magnitudes(bits[first : first + size], top, largest, part)
        marks = kept[first : first + size]
        for i in range(size):
            marks[i] = part[i] >= low
        for start in range(0, size - size % LANES, LANES):
            under = _below(part, start, low)
            inside = np.uint32(_at_most(part, start, high) ^ under)
            below += _count(under)
            if inside == 0:
                continue
            if listed + LANES > spot.size:
                return below, -1, largest
            while inside != 0:
                place = start + lowest_bit(inside)
                spot[listed], near[listed] = first + place, part[place]
                listed += 1
                inside = np.uint32(inside & np.uint32(inside - np.uint32(1)))
        for i in range(size - size % LANES, size):
            below += part[i] < low
            if low <= part[i] <= high:
                if listed == spot.size:
                    return below, -1, largest
                spot[listed], near[listed] = first + i, part[i]
                listed += 1
    return below, listed, largest


@kernel
def _prune_listed(spot, near, last, rank, kept):
    """Prune, of the listed entries, all below ``last`` and then those equal to it from the first on, ``rank`` together."""
    left = rank
    for p in range(near.size):
        left -= near[p] < last
    for p in range(near.size):
        gone = near[p] < last
        if near[p] == last and left > 0:
            gone, left = True, left - 1
        kept[spot[p]] = not gone


@inner
def _count(word):
    w = np.uint64(word)
    w = w - ((w >> np.uint64(1)) & np.uint64(0x55555555))
    w = (w & np.uint64(0x33333333)) + ((w >> np.uint64(2)) & np.uint64(0x33333333))
    w = (w + (w >> np.uint64(4))) & np.uint64(0x0F0F0F0F)
    return np.int64((w * np.uint64(0x01010101) & np.uint64(0xFFFFFFFF)) >> np.uint64(24))


@kernel
def _largest(bits, top):
    largest = bits.dtype.type(0)
    for i in range(bits.size):
        largest = max(largest, bits[i] & top)
    return largest


def magnitude_mask(array: npt.ArrayLike, n_pruned: int) -> npt.NDArray[np.bool_]:
    """Return the mask (True = kept) that prunes the ``n_pruned`` entries of smallest magnitude.

    ``array`` is float32 or float64 of any shape; ties go to the lower flat index; NaN is refused. The mask has the
    array's shape. One pass over the array: a bracket around the wanted magnitude comes from a sample, and only the
    entries inside it are ranked.

    >>> import numpy as np
    >>> magnitude_mask(np.array([[0.5, -0.1], [0.2, -3.0]]), 2).tolist()
    [[True, False], [False, True]]
    """
    values = np.asarray(array)
    if values.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"magnitude_mask needs a float32 or float64 array, got {values.dtype}; convert it")
    if not 0 <= n_pruned <= values.size:
        raise InputError(f"n_pruned must lie in 0..{values.size}, the size of the array, got {n_pruned}; take another")
    flat = np.ascontiguousarray(values).reshape(-1)
    integer: Any = np.int32 if flat.dtype == np.float32 else np.int64
    bits, top = flat.view(integer), integer(np.iinfo(integer).max)
    kept = np.ones(flat.size, dtype=np.bool_)
    if 0 < n_pruned < flat.size:
        largest = _prune(bits, top, n_pruned, kept)
    else:
        kept[:] = n_pruned == 0
        largest = _largest(bits, top)
    if largest > np.array(np.inf, dtype=flat.dtype).view(integer):
        raise InputError(f"magnitude_mask needs numbers, got {int(np.isnan(flat).sum())} NaN; replace or drop them")
    return kept.reshape(values.shape)


def _prune(bits: npt.NDArray[Any], top: Any, k: int, kept: npt.NDArray[np.bool_]) -> Any:
    """Mark the k smallest magnitudes as pruned; return the largest magnitude."""
    low, high = _sampled_bracket(bits, top, k)
    room = min(bits.size, max(SMALL, bits.size // 8))
    spot, near = np.empty(room, dtype=np.int64), np.empty(room, dtype=bits.dtype)
    below, listed, largest = _scan(bits, top, low, high, kept, spot, near)
    if listed < 0 or not below < k <= below + listed:
        room = bits.size + LANES
        spot, near = np.empty(room, dtype=np.int64), np.empty(room, dtype=bits.dtype)
        below, listed, largest = _scan(bits, top, bits.dtype.type(0), top, kept, spot, near)
    rank = k - below
    last = np.partition(near[:listed], rank - 1)[rank - 1]
    _prune_listed(spot[:listed], near[:listed], last, rank, kept)
    return largest


def _sampled_bracket(bits: npt.NDArray[Any], top: Any, k: int) -> tuple[Any, Any]:
    n = bits.size
    if n <= SMALL:
        return bits.dtype.type(0), top
    runs = max(SMALL, n // SHARE) // SAMPLE_RUN
    stride = n // runs
    sample = (bits[: runs * stride].reshape(runs, stride)[:, :SAMPLE_RUN] & top).reshape(-1)
    size, share = sample.size, k / n
    spread = 4.0 * math.sqrt(size * share * (1.0 - share)) + 4.0
    a, b = math.floor(share * size - spread), math.ceil(share * size + spread)
    # One partition after the other: NumPy's vector code knows a single place only.
    low, high = bits.dtype.type(0), top
    if a >= 0:
        sample.partition(a)
        low, sample, b = sample[a], sample[a:], b - a
    if b < sample.size:
        sample.partition(b)
        high = sample[b]
    return low, high
