"""Certified upper bounds of spectral norms in float64 (rounding errors included).

A Lanczos value s from below gives a guess u = s (1 + 1e-3). A Cholesky factorisation of u^2 I - A^T A that runs through
proves ||A|| <= u: the diagonal is lowered by bounds of all rounding errors (of the Gram matrix, and of the factorisation
after Rump, "Verification of positive definiteness", BIT 46, 2006). If it breaks off, u grows by 0.2 % and it is tried
again. Only own kernels with a fixed order of operations are used, so the certificate has the same bits everywhere.
"""

import numpy as np

from simprune.backends.assign import clear, copy
from simprune.backends.compile import inner, kernel
from simprune.backends.products import multiply

EPSILON = 2.0**-52
MARGIN = 1.0 + 1e-3
RAISE = 1.002
MAX_STEPS = 48
PANEL = 8
TARGET, KEPT, DELTA = 0, 1, 2


@inner
def gram(a, unit):
    """Return the Gram matrix of the shorter side of a / unit, with columns padded by 0 to a multiple of 16.

    ``a`` is ``[m, n]`` in float64, ``unit`` a power of two.
    """
    m, n = a.shape
    short, long = min(m, n), max(m, n)
    left, wide = np.empty((short, long), np.float64), np.empty((long, (short + 15) // 16 * 16), np.float64)
    clear(wide)
    for i in range(m):
        for j in range(n):
            r, c = (j, i) if m >= n else (i, j)
            left[r, c] = a[i, j] / unit
            wide[c, r] = left[r, c]
    g = np.empty((short, wide.shape[1]), np.float64)
    multiply(left, wide, g)
    return g


@inner
def _times(g, v, out):
    n = v.size
    clear(out)
    for i in range(n):
        row, factor = g[i, :n], v[i]
        for j in range(n):
            out[j] += factor * row[j]


@inner
def _dot(a, b):
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = a.size - a.size % 4
    for i in range(0, whole, 4):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
    for i in range(whole, a.size):
        s0 += a[i] * b[i]
    return (s0 + s1) + (s2 + s3)


@inner
def lanczos_top(g, n):
    """Return a lower estimate of the largest eigenvalue of g[:n, :n] (full reorthogonalisation)."""
    steps = min(n, MAX_STEPS)
    basis, diagonal, side = np.empty((steps, n), np.float64), np.empty(steps, np.float64), np.empty(steps, np.float64)
    w, v = np.empty(n, np.float64), np.empty(n, np.float64)
    state = np.uint64(88172645463325252)
    for i in range(n):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        v[i] = np.float64(state >> np.uint64(11)) * 2.0**-53 - 0.5
    norm = np.sqrt(_dot(v, v))
    value = 0.0
    for step in range(steps):
        for i in range(n):
            basis[step, i] = v[i] / norm
        _times(g, basis[step], w)
        diagonal[step] = _dot(w, basis[step])
        for earlier in range(step + 1):
            overlap = _dot(w, basis[earlier])
            for i in range(n):
                w[i] -= overlap * basis[earlier, i]
        norm = np.sqrt(_dot(w, w))
        last = value
        if step % 4 == 3 or step == steps - 1 or norm <= 1e-13 * (np.abs(diagonal[0]) + 1e-300):
            value = _top_of_tridiagonal(diagonal[: step + 1], side[:step])
            if norm <= 1e-13 * value or value - last <= 2e-5 * value:
                return value
        if step + 1 < steps:
            side[step] = norm
            for i in range(n):
                v[i] = w[i]
    return value


@inner
def _top_of_tridiagonal(diagonal, side):
    n = diagonal.size
    low, high = diagonal[0], diagonal[0]
    for i in range(n):
        reach = (side[i - 1] if i else 0.0) + (side[i] if i + 1 < n else 0.0)
        low, high = max(low, diagonal[i]), max(high, diagonal[i] + reach)
    for _ in range(60):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        pivot, inside = diagonal[0] - middle, True
        for i in range(n):
            if i:
                pivot = diagonal[i] - middle - side[i - 1] * side[i - 1] / pivot
            if pivot >= 0.0:
                inside = False
                break
        if inside:
            high = middle
        else:
            low = middle
    return low


@inner
def cholesky_succeeds(a, n):
    """Factor the symmetric a[:n, :n] in place (upper triangle); return whether all pivots are positive."""
    for k0 in range(0, n, PANEL):
        k1 = min(k0 + PANEL, n)
        for k in range(k0, k1):
            pivot = a[k, k]
            if not pivot > 0.0:
                return False
            root = np.sqrt(pivot)
            row = a[k, k:n]
            for j in range(row.size):
                row[j] = row[j] / root
            for i in range(k + 1, k1):
                factor, target, source = a[k, i], a[i, i:n], a[k, i:n]
                for j in range(target.size):
                    target[j] -= factor * source[j]
        if k1 - k0 == PANEL:
            for i in range(k1, n):
                f0, f1, f2, f3 = a[k0, i], a[k0 + 1, i], a[k0 + 2, i], a[k0 + 3, i]
                f4, f5, f6, f7 = a[k0 + 4, i], a[k0 + 5, i], a[k0 + 6, i], a[k0 + 7, i]
                r0, r1, r2, r3 = a[k0, i:n], a[k0 + 1, i:n], a[k0 + 2, i:n], a[k0 + 3, i:n]
                r4, r5, r6, r7 = a[k0 + 4, i:n], a[k0 + 5, i:n], a[k0 + 6, i:n], a[k0 + 7, i:n]
                target = a[i, i:n]
                for j in range(target.size):
                    first = (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j])
                    second = (f4 * r4[j] + f5 * r5[j]) + (f6 * r6[j] + f7 * r7[j])
                    target[j] -= first + second
    return True


@inner
def norm_upper(a):
    """Return a certified upper bound of the spectral norm of a (float64 ``[m, n]``, finite)."""
    m, n = a.shape
    top = 0.0
    for i in range(m):
        for j in range(n):
            top = max(top, np.abs(a[i, j]))
    if top == 0.0:
        return 0.0
    if not top < np.inf:
        return np.inf
    top = 2.0 ** np.ceil(np.log2(top))
    g = gram(a, top)
    short, long = min(m, n), max(m, n)
    trace = 0.0
    for i in range(short):
        trace += g[i, i]
    if short == 1:
        return top * np.sqrt(g[0, 0]) * (1.0 + (long + 4.0) * EPSILON)
    upper = np.sqrt(lanczos_top(g, short)) * MARGIN
    work = np.empty((short, short), np.float64)
    for _ in range(5000):
        square = upper * upper
        slack = (long + 8.0) * EPSILON * trace + (short + 8.0) * EPSILON * short * square + 1e-290
        for i in range(short):
            for j in range(i, short):
                work[i, j] = -g[i, j]
            work[i, i] = (square - g[i, i]) - 2.0 * slack
        if cholesky_succeeds(work, short):
            return top * upper * (1.0 + 4.0 * EPSILON)
        upper *= RAISE
    return top * np.sqrt(trace) * (1.0 + (long + 4.0) * EPSILON)


@inner
def _packed(row_start, column, value, n_columns):
    """Return a matrix in compressed rows as a dense one without its empty rows and columns (at least 1 x 1)."""
    used = np.empty(n_columns, np.int64)
    clear(used)
    n_used, n_rows = 0, 0
    for i in range(row_start.size - 1):
        if row_start[i + 1] > row_start[i]:
            n_rows += 1
        for p in range(row_start[i], row_start[i + 1]):
            if used[column[p]] == 0:
                n_used += 1
                used[column[p]] = n_used
    dense = np.empty((max(n_rows, 1), max(n_used, 1)), np.float64)
    clear(dense)
    row = 0
    for i in range(row_start.size - 1):
        if row_start[i + 1] == row_start[i]:
            continue
        for p in range(row_start[i], row_start[i + 1]):
            dense[row, used[column[p]] - 1] = value[p]
        row += 1
    return dense


@kernel
def layer_norms(shape, weights, entries, kind, norms):
    """Certify one norm of every layer and trial, ``norms`` ``[n_trials, depth]``, by ``kind``: TARGET, KEPT or DELTA."""
    widths, at, _ = shape
    room, starts, columns, values = entries
    for t in range(weights.shape[0]):
        first = 0
        for layer in range(widths.size - 1):
            d_out, d_in, spot = widths[layer + 1], widths[layer], room[layer]
            rows = starts[t, first : first + d_out + 1]
            first += d_out + 1
            if kind == DELTA:
                matrix = _packed(rows, columns[t, spot:], values[t, spot:], d_in)
            else:
                matrix = np.empty((d_out, d_in), np.float64)
                copy(weights[t, at[layer] : at[layer + 1]], matrix)
            if kind == KEPT:
                for i in range(d_out):
                    for p in range(rows[i], rows[i + 1]):
                        matrix[i, columns[t, spot + p]] = 0.0
            norms[t, layer] = norm_upper(matrix)
