"""The leading eigenvectors of a symmetric matrix, improved from call to call: an optimiser's guide, never a proof."""

import numpy as np

from simprune.backends.assign import clear, copy
from simprune.backends.compile import inner
from simprune.backends.products import multiply

COLUMNS = 8
SWEEPS = 10


@inner
def random_columns(x):
    """Fill x with fixed pseudo-random numbers in (-1/2, 1/2)."""
    state = np.uint64(88172645463325252)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            x[i, j] = np.float64(state >> np.uint64(11)) * 2.0**-53 - 0.5


@inner
def _orthonormalise(x):
    n, k = x.shape
    for c in range(k):
        for earlier in range(c):
            overlap = 0.0
            for i in range(n):
                overlap += x[i, earlier] * x[i, c]
            for i in range(n):
                x[i, c] -= overlap * x[i, earlier]
        square = 0.0
        for i in range(n):
            square += x[i, c] * x[i, c]
        scale = 1.0 / np.sqrt(square) if square > 1e-280 else 0.0
        for i in range(n):
            x[i, c] *= scale


@inner
def _jacobi(a, vectors):
    """Diagonalise the small symmetric a in place; ``vectors`` receives the eigenvectors as columns."""
    k = a.shape[0]
    clear(vectors)
    for i in range(k):
        vectors[i, i] = 1.0
    for _ in range(SWEEPS):
        for p in range(k - 1):
            for q in range(p + 1, k):
                if np.abs(a[p, q]) <= 1e-16 * (np.abs(a[p, p]) + np.abs(a[q, q])):
                    continue
                ratio = (a[q, q] - a[p, p]) / (2.0 * a[p, q])
                tangent = 1.0 / (np.abs(ratio) + np.sqrt(1.0 + ratio * ratio))
                tangent = tangent if ratio >= 0.0 else -tangent
                cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
                sine = tangent * cosine
                for i in range(k):
                    left, right = a[i, p], a[i, q]
                    a[i, p], a[i, q] = cosine * left - sine * right, sine * left + cosine * right
                for i in range(k):
                    left, right = a[p, i], a[q, i]
                    a[p, i], a[q, i] = cosine * left - sine * right, sine * left + cosine * right
                for i in range(k):
                    left, right = vectors[i, p], vectors[i, q]
                    vectors[i, p], vectors[i, q] = cosine * left - sine * right, sine * left + cosine * right


@inner
def improve(g, x, rounds, values):
    """Make the columns of x ``[n, 8]`` better leading eigenvectors of g (full, symmetric); ``values`` ``[8]`` theirs."""
    product, k = np.empty_like(x), x.shape[1]
    for _ in range(rounds):
        multiply(g, x, product)
        _orthonormalise(product)
        copy(product, x)
    multiply(g, x, product)
    small, turn = np.zeros((k, k)), np.empty((k, k))
    for i in range(x.shape[0]):
        for p in range(k):
            for q in range(k):
                small[p, q] += x[i, p] * product[i, q]
    _jacobi(small, turn)
    for i in range(x.shape[0]):
        for q in range(k):
            mixed = 0.0
            for p in range(k):
                mixed += x[i, p] * turn[p, q]
            product[i, q] = mixed
    copy(product, x)
    for q in range(k):
        values[q] = small[q, q]
