"""Kernels of maxima against plain loops, with heavy ties, bit for bit and for every number of columns."""

import numpy as np
import pytest

from simprune.backends.conv_pooling import pool, pool_difference, pull_pool, pull_pool_pair

WINDOWS = {
    "halved": (3, 8, 8, 2, 2, 2, 2, 4, 4, 1),
    "overlapping": (2, 7, 6, 3, 2, 2, 1, 3, 5, 1),
    "whole image": (4, 5, 5, 5, 5, 5, 5, 1, 1, 1),
    "single places": (2, 3, 3, 1, 1, 2, 2, 2, 2, 1),
}
N_TRIALS = 2


def rows_of(window):
    """The rows of every window, in increasing order."""
    channels, h, w, kh, kw, sh, sw, oh, ow, _ = window
    for c, y, x in np.ndindex(channels, oh, ow):
        yield [(c * h + y * sh + a) * w + x * sw + b for a in range(kh) for b in range(kw)]


def places_of(window, h, dh):
    """For every window and column: the first largest number's row, and the pruned network's row and deviation."""
    for rows in rows_of(window):
        ours = [max(rows, key=lambda row, j=j: (h[row, j], -row)) for j in range(h.shape[1])]
        theirs, deviations = [], []
        for j, m in enumerate(ours):
            found = (m, dh[m, j])
            for row in rows:
                moved = (h[row, j] - h[m, j]) + dh[row, j]
                found = (row, moved) if moved > found[1] else found
            theirs.append(found[0])
            deviations.append(found[1])
        yield ours, theirs, deviations


def tied(rng, *shape):
    """Few different numbers, 0 most of all, as after a ReLU."""
    return np.maximum(rng.integers(-3, 4, shape), 0) * 0.5


def cases(window, n, dtype):
    rng = np.random.default_rng(n)
    n_in, n_out = int(np.prod(window[:3])), window[0] * window[7] * window[8]
    h = tied(rng, N_TRIALS, n_in, n).astype(dtype)
    dh = (tied(rng, N_TRIALS, n_in, n) - tied(rng, N_TRIALS, n_in, n)).astype(dtype)
    p, e = rng.standard_normal((2, N_TRIALS, n_out, n)).astype(dtype)
    return h, dh, p, e


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [8, 16, 40])
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_maxima_are_those_of_plain_loops(window, n, dtype):
    h, dh, p, e = cases(window, n, dtype)
    pooled, moved = np.empty_like(p), np.empty_like(p)
    pool(window, h, pooled)
    pool_difference(window, h, dh, moved)
    pulled, p_out, e_out = np.empty_like(h), np.empty_like(h), np.empty_like(h)
    pull_pool(window, h, p, pulled)
    pull_pool_pair(window, h, dh, p, e, p_out, e_out)
    for t in range(N_TRIALS):
        wanted_pulled, wanted_p, wanted_e = (np.zeros_like(h[t]) for _ in range(3))
        for place, (ours, theirs, deviations) in enumerate(places_of(window, h[t], dh[t])):
            columns = np.arange(n)
            np.testing.assert_array_equal(pooled[t, place], h[t, ours, columns])
            np.testing.assert_array_equal(moved[t, place], deviations)
            for j, (m, other) in enumerate(zip(ours, theirs, strict=True)):
                wanted_pulled[m, j] += p[t, place, j]
                wanted_p[other, j] += p[t, place, j]
                wanted_e[m, j] += e[t, place, j] - (p[t, place, j] if m != other else dtype(0))
                wanted_e[other, j] += p[t, place, j] if m != other else dtype(0)
        np.testing.assert_array_equal(pulled[t], wanted_pulled)
        np.testing.assert_array_equal(p_out[t], wanted_p)
        np.testing.assert_array_equal(e_out[t], wanted_e)
    assert (moved != 0).any()
