"""The largest spectral norm of many matrices, certified."""

import numpy as np

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
