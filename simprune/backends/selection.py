"""Exact selection of the k smallest rank keys of a layer in one pass, ties to the lowest index.

A bracket [low, high] around the k-th key is known from theory (i.i.d. keys) or from a sample. One vectorised pass lists
all entries with key <= high; only the few inside the bracket are ranked. A missed bracket is seen and answered with
the full range, so the result is always exact.
"""

import math

import numpy as np

from simprune.backends.compile import inner, kernel
from simprune.backends.tiles import compare_lanes, lowest_bit

_at_most = compare_lanes(or_equal=True)
LANES = 32
MISSED = -1
WIDTH = 6.0


def bracket(n: int, k: int, top: int) -> tuple[int, int]:
    """Return keys that the k-th and (k+1)-th of n i.i.d. uniform keys in 0..top lie between, but for a chance of 1e-8."""
    share = k / n
    spread = WIDTH * math.sqrt(n * share * (1.0 - share)) + WIDTH * WIDTH
    low = max(0.0, (k - spread) / n)
    high = min(1.0, (k + 1 + spread) / n)
    return int(low * top), top if high >= 1.0 else int(high * top)


@inner
def list_at_most(keys, high, index):
    """Write the increasing indices of all keys <= high to ``index``; return their number, or MISSED if they do not fit."""
    count, room, whole = 0, index.size, keys.size - keys.size % LANES
    for start in range(0, whole, LANES):
        word = _at_most(keys, start, high)
        if word == 0:
            continue
        if count + LANES > room:
            return MISSED
        while word != 0:
            index[count] = start + lowest_bit(word)
            count += 1
            word = np.uint32(word & np.uint32(word - np.uint32(1)))
    for i in range(whole, keys.size):
        if keys[i] <= high:
            if count == room:
                return MISSED
            index[count] = i
            count += 1
    return count


@inner
def sort(values):
    """Sort in place by Shell's method: the arrays are short, and NumPy's sort takes seconds to compile."""
    gap = 1
    while gap < values.size:
        gap = 9 * gap // 4 + 1
    while gap > 1:
        gap = 4 * (gap - 1) // 9
        gap = max(gap, 1)
        for i in range(gap, values.size):
            value, j = values[i], i
            while j >= gap and values[j - gap] > value:
                values[j] = values[j - gap]
                j -= gap
            values[j] = value


@inner
def keep_smallest(keys, k, low, index, n_listed, scratch):
    """Shrink ``index[:n_listed]`` to the k smallest keys; return the index of the (k+1)-th smallest key.

    Returns -1 if all keys are pruned and -2 if the bracket missed the k-th or the (k+1)-th key.
    """
    below, inside = 0, 0
    for i in range(n_listed):
        key = keys[index[i]]
        if key < low:
            below += 1
        else:
            scratch[inside] = key
            inside += 1
    everything = k == keys.size
    rank = k - below
    if rank < 0 or (rank == 0 and low > 0) or rank + (0 if everything else 1) > inside:
        return -2
    ranked = scratch[:inside]
    sort(ranked)
    if rank == 0:
        return _first_with(keys, index, n_listed, ranked[0], 0)
    last, ties = ranked[rank - 1], 0
    while ties < rank and ranked[rank - 1 - ties] == last:
        ties += 1
    kept = 0 if everything else _after(keys, index, n_listed, last, ties, ranked[rank] if rank < inside else last)
    count = 0
    for i in range(n_listed):
        key = keys[index[i]]
        if key < last:
            index[count] = index[i]
            count += 1
        elif key == last and ties > 0:
            index[count] = index[i]
            count += 1
            ties -= 1
    return -1 if everything else kept


@inner
def _after(keys, index, n_listed, last, ties, following):
    if following == last:
        return _first_with(keys, index, n_listed, last, ties)
    return _first_with(keys, index, n_listed, following, 0)


@inner
def _first_with(keys, index, n_listed, key, skip):
    for i in range(n_listed):
        if keys[index[i]] == key:
            if skip == 0:
                return np.int64(index[i])
            skip -= 1
    return np.int64(-2)


@kernel
def select(keys, k, low, high, index, scratch):
    """Write the sorted indices of the k smallest keys to ``index[:k]``; return the index of the smallest kept key or -1.

    ``index`` (int32) and ``scratch`` (dtype of the keys) must have room for ``keys.size`` entries.
    """
    if k == keys.size:
        for i in range(k):
            index[i] = i
        return np.int64(-1)
    n_listed = list_at_most(keys, high, index)
    kept = np.int64(-2)
    if n_listed >= k:
        kept = keep_smallest(keys, k, low, index, n_listed, scratch)
    if kept == -2:
        for i in range(keys.size):
            index[i] = i
        kept = keep_smallest(keys, k, keys.dtype.type(0), index, keys.size, scratch)
    return kept


@inner
def smallest_kept(weights, index, n_pruned):
    """Return the smallest |weight| that is not in the sorted ``index[:n_pruned]``, inf if all are."""
    smallest = np.inf
    at = 0
    for i in range(weights.size):
        if at < n_pruned and index[at] == i:
            at += 1
            continue
        smallest = min(smallest, np.abs(np.float64(weights[i])))
    return smallest


@inner
def compress_rows(index, n_pruned, weights, n_columns, row_start, column, value):
    """Turn sorted flat indices into compressed rows: columns and the negated weights, the entries of -Delta."""
    row, end = 0, n_columns
    row_start[0] = 0
    for p in range(n_pruned):
        i = index[p]
        while i >= end:
            row += 1
            row_start[row] = p
            end += n_columns
        column[p] = i - (end - n_columns)
        value[p] = -weights[i]
    for r in range(row + 1, row_start.size):
        row_start[r] = n_pruned
