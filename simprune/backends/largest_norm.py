"""The largest spectral norm of many matrices, certified, and the symbols of convolutions as such matrices."""

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.certificates import EPSILON, cholesky_succeeds, gram, norm_upper
from simprune.backends.compile import inner, kernel


@inner
def _proved(a, upper):
    """Return whether ||a|| <= upper is proved, for entries of size about 1 (as in ``certificates.norm_upper``)."""
    g = gram(a, 1.0)
    short, long = min(a.shape[0], a.shape[1]), max(a.shape[0], a.shape[1])
    trace = 0.0
    for i in range(short):
        trace += g[i, i]
    square = upper * upper
    slack = (long + 8.0) * EPSILON * trace + (short + 8.0) * EPSILON * short * square + 1e-290
    work = np.empty((short, short))
    for i in range(short):
        for j in range(i, short):
            work[i, j] = -g[i, j]
        work[i, i] = (square - g[i, i]) - 2.0 * slack
    return cholesky_succeeds(work, short)


@kernel
def largest_norm(matrices):
    """Return an upper bound of the norms of all matrices ``[n, rows, columns]`` (float64): proved, or raised where not."""
    upper = 0.0
    for i in range(matrices.shape[0]):
        if upper == 0.0 or not _proved(matrices[i], upper):
            upper = max(upper, norm_upper(matrices[i]))
    return upper * (1.0 + 4.0 * EPSILON)


@kernel
def fill_symbols(taps, phases, out):
    """Write sums over taps exp(i angle) K_tap for all angles, as ``out`` ``[n, 2 rows, 2 columns]`` = [[A, -B], [B, A]].

    ``taps`` ``[n_taps, rows, columns]``, ``phases`` ``[n, n_taps, 2]``: cos and sin of the angles. Sums run in order.
    """
    n_taps, n_rows, n_columns = taps.shape
    real, imaginary = np.empty(n_rows * n_columns), np.empty(n_rows * n_columns)
    for f in range(phases.shape[0]):
        clear(real)
        clear(imaginary)
        for tap in range(n_taps):
            cosine, sine, part = phases[f, tap, 0], phases[f, tap, 1], taps[tap].reshape(-1)
            for i in range(part.size):
                real[i] += cosine * part[i]
                imaginary[i] += sine * part[i]
        for row in range(n_rows):
            upper, lower = out[f, row], out[f, n_rows + row]
            for column in range(n_columns):
                a, b = real[row * n_columns + column], imaginary[row * n_columns + column]
                upper[column], upper[n_columns + column] = a, -b
                lower[column], lower[n_columns + column] = b, a
