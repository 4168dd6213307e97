"""The gap at one input, in float64 with a running bound of every rounding error.

Beside z (pre-activation of the target), dz (deviation of the pruned network), h and dh run bounds ez, edz, eh, edh of
their componentwise errors. With g = (d_in + 8) 2^-52 and S = -Delta, h' = h + dh:
    ez  = |W| (eh + g |h|) + g |b|
    edz = |W| (edh + g |dh|) + |S| (eh + edh + g |h'|)
    eh  = K ez + 8 * 2^-52 (|h| + |s(0)|)
    edh = K edz + shift + 16 * 2^-52 (|dh| + K |dz|)
where ``shift`` bounds what an error of z does to s(z + dz) - s(z): for piecewise linear s, 0 if z and z + dz lie on one
side of the kink by more than ez and 2 K min(ez, |dz|) otherwise; for smooth s, min(sup |s''| ez, 2 K) |dz|.
"""

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.certificates import EPSILON, norm_upper
from simprune.backends.compile import inner, kernel
from simprune.backends.elementwise import activate, activate_difference
from simprune.backends.pair import layer_matrix, layer_transposed, widest
from simprune.backends.products import add_sparse, multiply


@inner
def _into_ball(x, out):
    square = 0.0
    for i in range(x.size):
        square += np.float64(x[i]) * np.float64(x[i])
    norm = np.sqrt(square) * (1.0 + (x.size + 8.0) * EPSILON)
    for i in range(x.size):
        out[i] = np.float64(x[i]) / norm if norm > 1.0 else np.float64(x[i])


@inner
def _propagate_dense(matrix, h, eh, dh, edh, out):
    z, ez, dz, edz = out
    g = (h.size + 8.0) * EPSILON
    for j in range(h.size):
        row = matrix[j]
        value, value_error = h[j], eh[j] + g * np.abs(h[j])
        moved, moved_error = dh[j], edh[j] + g * np.abs(dh[j])
        for i in range(row.size):
            w = np.float64(row[i])
            size = np.abs(w)
            z[i] += w * value
            ez[i] += size * value_error
            dz[i] += w * moved
            edz[i] += size * moved_error


@inner
def _propagate_sparse(rows, columns, values, h, eh, dh, edh, dz, edz):
    g = (h.size + 8.0) * EPSILON
    for i in range(rows.size - 1):
        for p in range(rows[i], rows[i + 1]):
            j, s = columns[p], np.float64(values[p])
            moved = h[j] + dh[j]
            dz[i] += s * moved
            edz[i] += np.abs(s) * (eh[j] + edh[j] + g * np.abs(moved))


@inner
def _activation_errors(constants, before, after):
    lipschitz, curvature, at_zero = constants
    z, ez, dz, edz = before
    h, eh, dh, edh = after
    for i in range(z.size):
        eh[i] = lipschitz * ez[i] + 8.0 * EPSILON * (np.abs(h[i]) + at_zero)
        if curvature == np.inf:
            moved = z[i] + dz[i]
            safe = (z[i] > 0.0) == (moved > 0.0) and min(np.abs(z[i]), np.abs(moved)) > ez[i]
            shift = 0.0 if safe else 2.0 * lipschitz * min(ez[i], np.abs(dz[i]))
        else:
            shift = min(curvature * ez[i], 2.0 * lipschitz) * np.abs(dz[i])
        edh[i] = lipschitz * edz[i] + shift + 16.0 * EPSILON * (np.abs(dh[i]) + lipschitz * np.abs(dz[i]))


@kernel
def evaluate(shape, turned, bias, entries, activation, constants, x, gap, noise):
    """Fill ``gap`` and ``noise`` ``[n_trials]`` for one input a trial, ``x`` ``[n_trials, d_0]``, scaled into the ball.

    ``constants`` = (Lipschitz constant, bound of |s''|, |s(0)|) of the activation.
    """
    widths, at, _ = shape
    room, starts, columns, values = entries
    code, parameter, smooth = activation
    top, depth = widest(widths), widths.size - 1
    rooms = np.empty((8, top), np.float64)
    h, eh, dh, edh = rooms[0], rooms[1], rooms[2], rooms[3]
    z, ez, dz, edz = rooms[4], rooms[5], rooms[6], rooms[7]
    for t in range(x.shape[0]):
        _into_ball(x[t], h)
        for before in (eh, dh, edh):
            clear(before)
        first, row = 0, 0
        for layer in range(depth):
            d_in, d_out = widths[layer], widths[layer + 1]
            out = (z[:d_out], ez[:d_out], dz[:d_out], edz[:d_out])
            for after in out:
                clear(after)
            inputs = (h[:d_in], eh[:d_in], dh[:d_in], edh[:d_in])
            _propagate_dense(layer_transposed(turned[t], widths, at, layer), *inputs, out)
            rows, spot = starts[t, first : first + d_out + 1], room[layer]
            _propagate_sparse(rows, columns[t, spot:], values[t, spot:], *inputs, dz[:d_out], edz[:d_out])
            if bias.size:
                for i in range(d_out):
                    z[i] += bias[row + i]
                    ez[i] += (d_in + 8.0) * EPSILON * np.abs(bias[row + i])
            first, row = first + d_out + 1, row + d_out
            if layer < depth - 1:
                activate(code, parameter, smooth, z[:d_out], h[:d_out])
                activate_difference(code, parameter, smooth, z[:d_out], dz[:d_out], dh[:d_out])
                errors = (h[:d_out], eh[:d_out], dh[:d_out], edh[:d_out])
                _activation_errors(constants, out, errors)
        square, error = 0.0, 0.0
        for i in range(widths[depth]):
            square += dz[i] * dz[i]
            error += edz[i] * edz[i]
        gap[t] = np.sqrt(square)
        noise[t] = np.sqrt(error) * (1.0 + 1e-9) + (widths[depth] + 8.0) * EPSILON * gap[t]


@inner
def _frobenius(a):
    square = 0.0
    for i in range(a.size):
        square += a[i] * a[i]
    return np.sqrt(square)


@kernel
def linear_gaps(widths, at, weights, entries, gaps):
    """Fill certified upper bounds of ||product of pruned - product of target matrices||, ``[n_trials]``.

    The difference D of the products is propagated as D' = W D + S (P + D), P' = W P. Its rounding error is below
    g e_L, where e_L is the same recursion with Frobenius norms and g = 2^-52 sum (d_l + 8) bounds all relative errors.
    """
    room, starts, columns, values = entries
    depth, c = widths.size - 1, (widths[0] + 7) // 8 * 8
    for t in range(weights.shape[0]):
        product, moved = np.zeros((widths[0], c)), np.zeros((widths[0], c))
        for i in range(widths[0]):
            product[i, i] = 1.0
        first, error, size, relative = 0, 0.0, 1.0, 0.0
        for layer in range(depth):
            d_in, d_out, spot = widths[layer], widths[layer + 1], room[layer]
            matrix = layer_matrix(weights[t], widths, at, layer).astype(np.float64)
            rows = starts[t, first : first + d_out + 1]
            first += d_out + 1
            pruned = values[t, spot : spot + rows[d_out]].astype(np.float64)
            new_moved, new_product = np.empty((d_out, c)), np.empty((d_out, c))
            multiply(matrix, moved, new_moved)
            add_sparse(rows, columns[t, spot:], pruned, product + moved, new_moved)
            multiply(matrix, product, new_product)
            norm, delta = _frobenius(matrix.reshape(-1)), _frobenius(pruned)
            error, size = norm * error + delta * (size + error), norm * size
            relative += 2.0 * (d_in + 8.0) * EPSILON
            product, moved = new_product, new_moved
        gaps[t] = norm_upper(np.ascontiguousarray(moved[:, : widths[0]])) + relative * error * (1.0 + 1e-6)
