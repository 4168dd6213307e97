"""Dense and sparse products of one trial's matrices with a panel of columns; columns come in multiples of 8."""

from simprune.backends.compile import inner
from simprune.backends.tiles import PAIRED, TILE_ROWS, VECTOR_BYTES, paired_tile, sparse_entries, sparse_row, tile

_block32 = tile(TILE_ROWS, 32, accumulate=False)
_block16 = tile(TILE_ROWS, 16, accumulate=False)
_block8 = tile(TILE_ROWS, 8, accumulate=False)
_row32 = tile(1, 32, accumulate=False)
_row16 = tile(1, 16, accumulate=False)
_row8 = tile(1, 8, accumulate=False)
_both8 = paired_tile(TILE_ROWS)
_both_row8 = paired_tile(1)
_sparse16 = sparse_row(16)
_sparse8 = sparse_row(8)
_entries = sparse_entries(PAIRED)
# Bytes of a row of the widest tile: two vectors, whose accumulators fill half the registers.
WIDE = 2 * VECTOR_BYTES


@inner
def multiply(W, X, Z):
    """Z = W X for W ``[m, n]``, X ``[n, c]``, Z ``[m, c]``, c a multiple of 8."""
    multiply_listed(W, X, W.shape[1], Z)


@inner
def multiply_both(W, X, Y, U, V):
    """U = W X and V = W Y, with the bits of ``multiply``; panels of 8 columns share their vectors."""
    if X.shape[1] != PAIRED:
        multiply(W, X, U)
        multiply(W, Y, V)
        return
    m = W.shape[0]
    whole = m - m % TILE_ROWS
    for i in range(0, whole, TILE_ROWS):
        _both8(W, X, Y, U, V, i)
    for i in range(whole, m):
        _both_row8(W, X, Y, U, V, i)


@inner
def multiply_listed(W, X, used, Z):
    """Z = W X where only the ``used`` rows of X (an increasing int32 array, or their number) may differ from 0."""
    m, c = W.shape[0], X.shape[1]
    whole = m - m % TILE_ROWS
    wide = c - c % 32 if WIDE // X.itemsize >= 32 else 0
    for j in range(0, wide, 32):
        for i in range(0, whole, TILE_ROWS):
            _block32(W, X, Z, i, j, used)
        for i in range(whole, m):
            _row32(W, X, Z, i, j, used)
    for j in range(wide, c - 15, 16):
        for i in range(0, whole, TILE_ROWS):
            _block16(W, X, Z, i, j, used)
        for i in range(whole, m):
            _row16(W, X, Z, i, j, used)
    if c % 16:
        j = c - 8
        for i in range(0, whole, TILE_ROWS):
            _block8(W, X, Z, i, j, used)
        for i in range(whole, m):
            _row8(W, X, Z, i, j, used)


@inner
def add_sparse(row_start, index, value, X, Z):
    """Z += S X for a sparse S in compressed rows: row i holds entries row_start[i] .. row_start[i + 1] - 1.

    X is an array or a pair of arrays, whose sum is meant.
    """
    c = Z.shape[1]
    for i in range(row_start.size - 1):
        start, stop = row_start[i], row_start[i + 1]
        if start < stop:
            for j in range(0, c - 15, 16):
                _sparse16(index, value, start, stop, X, Z, i, j)
            if c % 16:
                _sparse8(index, value, start, stop, X, Z, i, c - 8)


@inner
def add_entries(line, index, value, X, Z):
    """Do the same for panels of PAIRED columns by the row of every entry; the bits are those of ``add_sparse``."""
    _entries(line, index, value, X, Z)
