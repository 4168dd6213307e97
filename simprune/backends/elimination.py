"""Block elimination of a symmetric matrix in float64: Cholesky factor of a block, and what it leaves to the next one."""

import numpy as np

from simprune.backends.compile import inner
from simprune.backends.tiles import TILE_ROWS, tile

PANEL = 8
_add16 = tile(TILE_ROWS, 16, accumulate=True)
_add8 = tile(TILE_ROWS, 8, accumulate=True)
_block16 = tile(TILE_ROWS, 16, accumulate=False)
_block8 = tile(TILE_ROWS, 8, accumulate=False)


@inner
def largest(values):
    """Return the largest of some non-negative values as a float, 0 if there is none."""
    top = 0.0
    for value in values:
        top = max(top, float(value))
    return top


@inner
def eliminate(u, low):
    """Factor R = U^T U of u = [R | C] in place and turn C into X = U^-T C; return whether all pivots are positive.

    ``u`` is ``[n, c]``, ``low`` scratch ``[n, n]``; n and c are multiples of 8. Below its diagonal U holds scratch.
    """
    n, c = u.shape
    for k0 in range(0, n, PANEL):
        k1, whole = k0 + PANEL, c - (c - k0) % 16
        for i in range(k0, k1, TILE_ROWS):
            for j in range(k0, whole, 16):
                _add16(low, u, u, i, j, k0)
            if whole < c:
                _add8(low, u, u, i, whole, k0)
        for k in range(k0, k1):
            pivot = u[k, k]
            if not pivot > 0.0:
                return False
            root, row = np.sqrt(pivot), u[k, k:]
            for j in range(row.size):
                row[j] = row[j] / root
            for i in range(k + 1, k1):
                factor, target, source = u[k, i], u[i, i:], u[k, i:]
                for j in range(target.size):
                    target[j] -= factor * source[j]
        for j in range(k1, n):
            for k in range(k0, k1):
                low[j, k] = -u[k, j]
    return True


@inner
def gram_of_columns(x, turned, g):
    """Fill the upper triangle of g = X^T X for x ``[n, m]``, m a multiple of 8; ``turned`` is scratch ``[m, n]``."""
    n, m = x.shape
    for j0 in range(0, m, PANEL):
        for i in range(n):
            for j in range(j0, j0 + PANEL):
                turned[j, i] = x[i, j]
    for i in range(0, m, TILE_ROWS):
        whole = m - m % 16
        for j in range(i - i % 16, whole, 16):
            _block16(turned, x, g, i, j, n)
        if whole < m:
            _block8(turned, x, g, i, whole, n)


@inner
def solve_upper(u, y):
    """Overwrite y ``[n, k]`` by U^-1 y for the factor in u."""
    n, k = y.shape
    for i in range(n - 1, -1, -1):
        row, target = u[i], y[i]
        for j in range(i + 1, n):
            factor, source = row[j], y[j]
            for c in range(k):
                target[c] -= factor * source[c]
        for c in range(k):
            target[c] = target[c] / row[i]
