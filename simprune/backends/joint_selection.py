"""Several exact selections from one list of candidates: the smallest keys of a layer, in the order of places.

A candidate carries its row, column and value. Every rule packs what it prunes, vector by vector, from what the rule before
it pruned: it prunes as many or less.
"""

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.compile import inner
from simprune.backends.lanes import compress_values
from simprune.backends.selection import LANES, count_at_most, fill_starts, ranked


@inner
def candidates_of(index, near, weights, n_columns, entries):
    """Fill ``entries`` = (keys, rows, columns, negated weights), all with room for 32 more, and pad the keys."""
    keys, rows, columns, values = entries
    # Half a column beyond an index, the quotient is never so near to an integer that rounding matters.
    share = 1.0 / n_columns
    for p in range(index.size):
        row = np.int32((index[p] + 0.5) * share)
        rows[p] = row
        columns[p] = np.int32(index[p] - row * n_columns)
    for p in range(index.size):
        keys[p] = near[p]
        values[p] = -weights[index[p]]
    _pad(keys, index.size)


@inner
def prune_smallest_of(entries, size, k, high, out):
    """Write rows, columns and values of the k smallest keys to ``out``, ties to the first, and shrink the keys to them.

    ``entries`` as filled by ``candidates_of``, or (keys, *out) of the call before; the first ``size`` > k of them count, and
    their keys are 0 to ``high``. Return the value of the next key. ``out`` has room for k and 32 more.
    """
    keys, rows, columns, values = entries
    near = keys[: _whole(size)]
    bound = ranked(near, k + 1, 0, high)
    below, place = bound - keys.dtype.type(1), 0
    ties = k - count_at_most(near, below)
    if ties == 0:
        _pack(near, below, rows, out[0])
        _pack(near, below, columns, out[1])
        _pack(near, below, values, out[2])
        while keys[place] != bound:
            place += 1
        following = values[place]
        _pack(near, below, keys, keys)
    else:
        kept, following = 0, values[0]
        for p in range(size):
            key, is_tie = keys[p], keys[p] == bound
            if is_tie and ties == 0:
                following = values[p]
            if key < bound or (is_tie and ties > 0):
                keys[kept], out[0][kept], out[1][kept], out[2][kept] = key, rows[p], columns[p], values[p]
                kept += 1
            ties -= np.int64(is_tie)
    _pad(keys, k)
    return following


@inner
def start_rows(rows, row_start):
    """Write where every row starts in a list of entries with these rising rows."""
    clear(row_start)
    for p in range(rows.size):
        row_start[rows[p] + 1] = p + 1
    fill_starts(row_start)


@inner
def _whole(size):
    return (size + LANES - 1) // LANES * LANES


@inner
def _pad(keys, size):
    """Let larger keys follow up to a multiple of 32."""
    for p in range(size, _whole(size)):
        keys[p] = np.iinfo(keys.dtype).max


@inner
def _pack(near, bound, values, out):
    """Write the values whose keys are <= bound; ``out`` may be ``values``: it is written behind what has been read."""
    count = 0
    for start in range(0, near.size, LANES):
        count = compress_values(near, start, bound, values, out, count)
