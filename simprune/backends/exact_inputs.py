"""The directions of the input that a pair of networks can see: few hidden units see few, however many inputs there are.

Both networks depend on x only through the rows of W_1 and Delta_1. With an orthonormal basis Q of their span,
x enters as y = Q x, |y| <= |x| up to rounding; what rounding leaves outside the span goes to the rests (``slack``).
"""

import numpy as np

from simprune.backends.certificates import EPSILON
from simprune.backends.compile import inner
from simprune.gap.exact import MOST_INPUTS

SEEN = 1e-9
SKEW = 1e-14


@inner
def _length(v):
    square = 0.0
    for i in range(v.size):
        square += v[i] * v[i]
    return np.sqrt(square)


@inner
def _without(v, basis):
    """Take the components along the rows of ``basis`` out of v, one after the other."""
    for i in range(basis.shape[0]):
        along = 0.0
        for j in range(v.size):
            along += basis[i, j] * v[j]
        for j in range(v.size):
            v[j] -= along * basis[i, j]


@inner
def basis_of(weight, delta):
    """Return orthonormal rows ``[n, d_0]`` that span the rows of both matrices: unit vectors for few inputs.

    More than ``MOST_INPUTS`` rows (their number only matters then) say that too many directions are seen.
    """
    d_in = weight.shape[1]
    basis = np.zeros((MOST_INPUTS + 1, d_in))
    if d_in <= MOST_INPUTS:
        for i in range(d_in):
            basis[i, i] = 1.0
        return basis[:d_in]
    n = 0
    for i in range(2 * weight.shape[0]):
        row = weight[i].copy() if i < weight.shape[0] else delta[i - weight.shape[0]].copy()
        size = _length(row)
        _without(row, basis[:n])
        if not _length(row) > SEEN * size:
            continue
        row /= _length(row)
        _without(row, basis[:n])
        row /= _length(row)
        basis[n] = row
        n += 1
        if n > MOST_INPUTS:
            break
    for i in range(n):
        for j in range(i):
            along = 0.0
            for k in range(d_in):
                along += basis[i, k] * basis[j, k]
            if np.abs(along) > SKEW:
                return basis
    return basis[:n]


@inner
def _squeeze(row, basis, out):
    """Write the coordinates of a row, and return a bound of the length of what they leave out."""
    left, size = row.copy(), _length(row)
    for i in range(basis.shape[0]):
        along = 0.0
        for j in range(row.size):
            along += basis[i, j] * row[j]
        out[i] = along
        for j in range(row.size):
            left[j] -= along * basis[i, j]
    return (_length(left) + (row.size + 8.0) * (basis.shape[0] + 2.0) * EPSILON * size) * (1.0 + 1e-9)


@inner
def reduced(widths, at, weights, deltas, basis):
    """Return widths, offsets and slack of the networks behind the basis; their first matrices end where the old ones did."""
    n, d_out = basis.shape[0], widths[1]
    small_widths, small_at, slack = widths.copy(), at.copy(), np.zeros((2, d_out))
    if widths[0] <= MOST_INPUTS:
        return small_widths, small_at, slack
    small_widths[0] = n
    shift = d_out * (widths[0] - n)
    small_at[1:] -= shift
    row = np.empty(widths[0])
    for which, flat in enumerate((weights, deltas)):
        for i in range(d_out - 1, -1, -1):
            row[:] = flat[i * widths[0] : (i + 1) * widths[0]]
            spot = shift + i * n
            slack[which, i] = _squeeze(row, basis, flat[spot : spot + n])
    return small_widths, small_at, slack


@inner
def lifted(basis, y, x):
    """Write the input whose coordinates are y."""
    x[:] = 0.0
    for i in range(basis.shape[0]):
        for j in range(x.size):
            x[j] += y[i] * basis[i, j]
