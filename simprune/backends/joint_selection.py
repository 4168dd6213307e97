"""Several exact selections from one list of candidates: the smallest keys of a layer, in the order of places.

A candidate carries its row, column and value. Every rule keeps the candidates that it prunes and the one after them, packed
vector by vector, and leaves these to the next rule, which prunes as many or less.
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
def keep_first(entries, size, count, high):
    """Shrink the first ``size`` entries to the ``count`` smallest keys, ties to the first; return the place of the last.

    ``count`` is 1 to ``size``, and keys are 0 to ``high``.
    """
    keys, rows, columns, values = entries
    near = keys[: _whole(size)]
    bound = ranked(near, count, 0, high)
    if count_at_most(near, bound) == count:
        _pack(near, bound, rows)
        _pack(near, bound, columns)
        _pack(near, bound, values)
        _pack(near, bound, keys)
    else:
        ties, kept = count - count_at_most(near, bound - keys.dtype.type(1)), 0
        for p in range(size):
            key, is_tie = keys[p], keys[p] == bound
            keys[kept], rows[kept], columns[kept], values[kept] = key, rows[p], columns[p], values[p]
            kept += np.int64(key < bound or (is_tie and ties > 0))
            ties -= np.int64(is_tie)
    _pad(keys, count)
    place = count - 1
    while keys[place] != bound:
        place -= 1
    return place


@inner
def list_rows(entries, size, left_out, row_start, row, column, value):
    """Turn the first ``size`` entries but the one in place ``left_out`` into compressed rows, and write the row of each."""
    _, rows, columns, values = entries
    clear(row_start)
    for p in range(left_out):
        row_start[rows[p] + 1] = p + 1
        row[p], column[p], value[p] = rows[p], columns[p], values[p]
    for p in range(left_out, size - 1):
        row_start[rows[p + 1] + 1] = p + 1
        row[p], column[p], value[p] = rows[p + 1], columns[p + 1], values[p + 1]
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
def _pack(near, bound, values):
    """Move the values whose keys are <= bound to the front; what is written lies behind what has been read."""
    count = 0
    for start in range(0, near.size, LANES):
        count = compress_values(near, start, bound, values, values, count)
