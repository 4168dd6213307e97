"""Exact selection of the k smallest rank keys of a layer in one pass, ties to the lowest index.

A bracket [low, high] around the k-th key is known from theory (i.i.d. keys) or from a sample. One vectorised pass lists
all entries with key <= high; only the few inside the bracket are ranked. A missed bracket is seen and answered with
the full range, so the result is always exact.
"""

import math

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.compile import inner
from simprune.backends.lanes import compare_lanes, compress_at_most, lowest_bit, number_of_bits
from simprune.backends.tiles import HAS_COMPRESS

_at_most = compare_lanes(or_equal=True)
LANES = 32
# Keys that come more often than one in so many are listed without a branch for each.
OFTEN = 64 if HAS_COMPRESS else 0
MISSED = -1
WIDTH = 4.5
SLACK = 8.0


def bracket(n: int, k: int, top: int) -> tuple[int, int]:
    """Return keys around the k-th and (k+1)-th of n i.i.d. uniform keys in 0..top; they miss with a chance of about 1e-5."""
    share = k / n
    spread = WIDTH * math.sqrt(n * share * (1.0 - share)) + SLACK
    low = max(0.0, (k - spread) / n)
    high = min(1.0, (k + 1 + spread) / n)
    return int(low * top), top if high >= 1.0 else int(high * top)


@inner
def list_at_most(keys, high, index):
    """Write the increasing indices of all keys <= high to ``index``; return their number, or MISSED if they do not fit."""
    count, room, whole = 0, index.size, keys.size - keys.size % LANES
    for start in range(0, whole, LANES):
        if count * OFTEN > start:
            if count + LANES > room:
                return MISSED
            count = compress_at_most(keys, start, high, index, count)
            continue
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
def flag_words(words, high, flags):
    """Write which keys are <= high: bit b of flags[i] stands for the lower 31 bits of words[32 i + b]."""
    for i in range(words.size // LANES):
        flags[i] = _at_most(words, i * LANES, high)


@inner
def list_words(words, flags, high, index):
    """Write the increasing places of the flagged words, a multiple of 32 of them; return their number.

    ``flags`` are those of ``high`` (``flag_words``); ``index`` has room for all and 32.
    """
    count = 0
    for start in range(0, words.size, LANES):
        if count * OFTEN > start:
            count = compress_at_most(words, start, high, index, count)
            continue
        word = flags[start // LANES]
        while word != 0:
            index[count] = start + lowest_bit(word)
            count += 1
            word = np.uint32(word & np.uint32(word - np.uint32(1)))
    return count


@inner
def count_at_most(values, bound):
    """Return how many values are <= bound."""
    count, whole = np.int64(0), values.size - values.size % LANES
    for start in range(0, whole, LANES):
        count += number_of_bits(_at_most(values, start, bound))
    for i in range(whole, values.size):
        count += np.int64(values[i] <= bound)
    return count


@inner
def smallest_above(values, bound, top):
    """Return the smallest value > bound, top if there is none."""
    smallest = top
    for i in range(values.size):
        value = values[i] if values[i] > bound else top
        smallest = min(smallest, value)
    return smallest


@inner
def ranked(values, rank, low, high):
    """Return the value of rank 1, 2, ... among values in low..high, by narrowing the range.

    Every step counts the whole array without a branch, which beats moving elements about up to some ten thousand. Steps
    aim, in turn, at the place of the rank among evenly spread values and at the middle; the last value left is looked for.
    """
    least, most = np.int64(low), np.int64(high)
    below, up_to, aims = np.int64(0), np.int64(values.size), True
    while least < most and up_to - below > 1:
        span = most - least
        ahead = np.int64(np.float64(span) * ((rank - below - 0.5) / (up_to - below))) if aims else span // 2
        middle = least + min(max(ahead, np.int64(0)), span - 1)
        count = count_at_most(values, values.dtype.type(middle))
        if count >= rank:
            most, up_to = middle, count
        else:
            least, below = middle + 1, count
        aims = not aims
    if least == most:
        return values.dtype.type(least)
    return smallest_above(values, values.dtype.type(least - 1), values.dtype.type(most))


@inner
def keep_smallest(keys, k, low, high, index, n_listed, scratch):
    """Shrink ``index[:n_listed]`` to the k smallest keys; return the index of the (k+1)-th smallest key.

    Returns -2 if the bracket missed the k-th or the (k+1)-th key.
    """
    below, inside = 0, 0
    for i in range(n_listed):
        key = keys[index[i]]
        scratch[inside] = key
        above = np.int64(key >= low)
        inside += above
        below += 1 - above
    rank = k - below
    if rank < 0 or (rank == 0 and low > 0) or rank + 1 > inside:
        return np.int64(-2)
    near = scratch[:inside]
    if rank == 0:
        return _first_with(keys, index, n_listed, ranked(near, 1, low, high), 0)
    last = ranked(near, rank, low, high)
    ties = np.int64(rank - count_at_most(near, last - keys.dtype.type(1)))
    if count_at_most(near, last) > rank:
        kept = _first_with(keys, index, n_listed, last, ties)
    else:
        kept = _first_with(keys, index, n_listed, smallest_above(near, last, high), 0)
    count = 0
    for i in range(n_listed):
        key = keys[index[i]]
        index[count] = index[i]
        if key == last:
            count += ties > 0
            ties -= 1
        else:
            count += np.int64(key < last)
    return kept


@inner
def _first_with(keys, index, n_listed, key, skip):
    for i in range(n_listed):
        if keys[index[i]] == key:
            if skip == 0:
                return np.int64(index[i])
            skip -= 1
    return np.int64(-2)


@inner
def select(keys, k, low, high, index, n_listed, scratch):
    """Shrink ``index[:n_listed]``, the listed keys <= high, to the k smallest; return the index of the smallest kept key.

    Indices stay sorted; -1 is returned if all keys are pruned. ``index`` (int32) and ``scratch`` (dtype of the keys) must
    have room for ``keys.size`` entries.
    """
    if k == keys.size:
        for i in range(k):
            index[i] = i
        return np.int64(-1)
    kept = np.int64(-2)
    if n_listed >= k:
        kept = keep_smallest(keys, k, low, high, index, n_listed, scratch)
    if kept == -2:
        for i in range(keys.size):
            index[i] = i
        top = keys.dtype.type(np.iinfo(keys.dtype).max)
        kept = keep_smallest(keys, k, keys.dtype.type(0), top, index, keys.size, scratch)
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
    clear(row_start)
    # Half a column beyond an index, the quotient is never so near to an integer that rounding matters.
    share = 1.0 / n_columns
    for p in range(n_pruned):
        i = np.int64(index[p])
        row = np.int64((i + 0.5) * share)
        row_start[row + 1] = p + 1
        column[p] = i - row * n_columns
        value[p] = -weights[i]
    fill_starts(row_start)


@inner
def fill_starts(row_start):
    """Let rows without entries, whose end is 0 so far, begin and end where the row before them ends."""
    begin = row_start[0]
    for r in range(1, row_start.size):
        begin = max(begin, row_start[r])
        row_start[r] = begin
