"""Affine forms of target and deviation over a box of inputs, compiled; ``reference_exact`` derives them in plain NumPy.

A form ``a + A t + [-e, e]`` is one row of ``1 + n + 1`` numbers: centre, n slopes, rest. ``shape`` is that of ``pair``;
``matrices`` = (target's weights, pruned entries Delta, biases, ``slack``), flat float64; ``slack`` ``[2, d_1]`` is added
to the rests of both in the first layer.
"""

import numpy as np

from simprune.backends.certificates import EPSILON
from simprune.backends.compile import inner
from simprune.backends.elementwise import IDENTITY, activate, activate_difference, smooth_slope
from simprune.backends.pair import layer_matrix


@inner
def _reach(form, half):
    total = form[form.size - 1]
    for j in range(half.size):
        total += np.abs(form[1 + j]) * half[j]
    return total


@inner
def _through(weight, delta, bias, half, h, dh, z, dz):
    """Forms z = W h + b and dz = (W - Delta) dh - Delta h, rounding errors in their rests."""
    n, d_in = half.size, weight.shape[1]
    g = (d_in + n + 8.0) * EPSILON
    z[: weight.shape[0]] = 0.0
    dz[: weight.shape[0]] = 0.0
    for k in range(d_in):
        still, moving = h[k], dh[k]
        error = still[n + 1] + g * (np.abs(still[0]) + _reach(still, half))
        moved_error = moving[n + 1] + g * (np.abs(moving[0]) + _reach(moving, half))
        for i in range(weight.shape[0]):
            w, s = weight[i, k], delta[i, k]
            kept = w - s
            for j in range(n + 1):
                z[i, j] += w * still[j]
                dz[i, j] += kept * moving[j] - s * still[j]
            z[i, n + 1] += np.abs(w) * error
            dz[i, n + 1] += np.abs(kept) * moved_error + np.abs(s) * error
    if bias.size:
        for i in range(weight.shape[0]):
            z[i, 0] += bias[i]
            z[i, n + 1] += g * np.abs(bias[i])


@inner
def _chord(low, centre, reach):
    """Return slope and room with s(z) in slope z + [0, room] for |z - centre| <= reach."""
    bottom, top = centre - reach, centre + reach
    if bottom >= 0.0:
        return 1.0, 0.0
    if top <= 0.0:
        return low, 0.0
    slope = min(max((top - low * bottom) / (top - bottom), low), 1.0)
    return slope, max(top * (1.0 - slope), (low - slope) * bottom) * (1.0 + 8.0 * EPSILON)


@inner
def _kinked(low, half, z, dz, h, dh):
    """One neuron of slope ``low`` below 0 and 1 above: two chords, or a multiple of dz, whichever has the smaller rest."""
    n = half.size
    reach = _reach(z, half)
    step = np.abs(dz[0]) + _reach(dz, half)
    moved_reach = z[n + 1] + dz[n + 1]
    for j in range(n):
        moved_reach += np.abs(z[1 + j] + dz[1 + j]) * half[j]
    slope, room = _chord(low, z[0], reach)
    new_slope, new_room = _chord(low, z[0] + dz[0], moved_reach)
    size, turn, middle = np.abs(z[0]) + reach, new_slope - slope, 0.5 * (1.0 + low)
    rest = np.abs(turn) * z[n + 1] + new_slope * dz[n + 1] + 0.5 * (new_room + room)
    rest += 8.0 * EPSILON * (np.abs(turn) * size + step + new_room + room)
    other = middle * dz[n + 1] + 0.5 * (1.0 - low) * step + 8.0 * EPSILON * step
    for j in range(n + 1):
        h[j] = slope * z[j]
        dh[j] = turn * z[j] + new_slope * dz[j] if rest <= other else middle * dz[j]
    h[0] += 0.5 * room
    h[n + 1] = slope * z[n + 1] + 0.5 * room + 8.0 * EPSILON * size
    if rest <= other:
        dh[0] += 0.5 * (new_room - room)
    dh[n + 1] = min(rest, other)


@inner
def _smooth(code, constants, half, z, dz, h, dh):
    """One smooth neuron, its exact values in ``h[0]`` and ``dh[0]``: Taylor forms, or the range of slopes."""
    n = half.size
    steepest, bend, twist, at_zero = constants
    reach, moved_reach = _reach(z, half), _reach(dz, half)
    slope, new_slope = smooth_slope(code, 0.0, z[0]), smooth_slope(code, 0.0, z[0] + dz[0])
    value, moved = h[0], dh[0]
    step, noise, turn = np.abs(dz[0]) + moved_reach, 16.0 * EPSILON * steepest, new_slope - slope
    rounding = 8.0 * EPSILON * (np.abs(value) + at_zero) + noise * reach
    taylor = slope * z[n + 1] + 0.5 * bend * reach * reach
    secant = 0.5 * steepest * (z[n + 1] + reach)
    factor = slope if taylor <= secant else 0.5 * steepest
    for j in range(1, n + 1):
        h[j] = factor * z[j]
    h[n + 1] = min(taylor, secant) + rounding
    taylor = np.abs(turn) * z[n + 1] + new_slope * dz[n + 1] + 0.5 * twist * step * reach * reach
    taylor += bend * moved_reach * (reach + 0.5 * moved_reach)
    secant = 0.5 * steepest * (dz[n + 1] + step)
    for j in range(n + 1):
        dh[j] = turn * z[j] + new_slope * dz[j] if taylor <= secant else 0.5 * steepest * dz[j]
    if taylor <= secant:
        dh[0] = moved
    dh[n + 1] = min(taylor, secant) + noise * (np.abs(moved) + step + reach)


@inner
def propagate(shape, matrices, activation, constants, cell, work):
    """Write the form of f - F over a cell to the first rows of ``work[3]``."""
    widths, at, rows = shape
    weights, deltas, biases, slack = matrices
    code, parameter, smooth = activation
    centre, half = cell
    h, dh, z, dz, values = work
    n = half.size
    h[:n], dh[:n] = 0.0, 0.0
    for k in range(n):
        h[k, 0], h[k, 1 + k] = centre[k], 1.0
    for layer in range(widths.size - 1):
        w, s = layer_matrix(weights, widths, at, layer), layer_matrix(deltas, widths, at, layer)
        bias = biases[rows[layer] : rows[layer + 1]] if biases.size else biases
        _through(w, s, bias, half, h, dh, z, dz)
        d_out = widths[layer + 1]
        if layer == 0:
            for i in range(d_out):
                z[i, n + 1] += slack[0, i]
                dz[i, n + 1] += slack[1, i]
        if layer == widths.size - 2:
            return
        if smooth is not None:
            values[0, :d_out], values[1, :d_out] = z[:d_out, 0], dz[:d_out, 0]
            activate(code, parameter, smooth, values[0, :d_out], values[2, :d_out])
            activate_difference(code, parameter, smooth, values[0, :d_out], values[1, :d_out], values[3, :d_out])
            for i in range(d_out):
                h[i, 0], dh[i, 0] = values[2, i], values[3, i]
                _smooth(code, constants, half, z[i], dz[i], h[i], dh[i])
        elif code == IDENTITY:
            h[:d_out], dh[:d_out] = z[:d_out], dz[:d_out]
        else:
            for i in range(d_out):
                _kinked(parameter, half, z[i], dz[i], h[i], dh[i])
