"""Kernels over a batch of trials: one call runs a pass for every trial, with all scratch reused."""

import numpy as np

from simprune.backends.assign import clear, copy
from simprune.backends.compile import inner, kernel
from simprune.backends.pair import (
    column_norms,
    difference,
    difference_of_two,
    forward,
    forward_pair,
    gap_gradient,
    move,
    output_gradient,
    transpose,
)
from simprune.backends.sampling import mask_keys32, mask_keys64, sample_layer32, sample_layer64
from simprune.backends.tiles import PAIRED


@kernel
def sample32(k0, k1, streams, trials, law, scales, at, weights, keys):
    """Fill weights (float32) and keys (int32), both ``[n_trials, n_weights]``."""
    for t in range(trials.size):
        for layer in range(scales.size):
            a, b = at[layer], at[layer + 1]
            sample_layer32(k0, k1, streams[0, layer], trials[t], law, scales[layer], weights[t, a:b], keys[t, a:b])


@kernel
def sample64(k0, k1, streams, trials, law, scales, at, weights, keys):
    """Fill weights (float64) and keys (int64), both ``[n_trials, n_weights]``."""
    for t in range(trials.size):
        for layer in range(scales.size):
            a, b = at[layer], at[layer + 1]
            s0, s1 = streams[0, layer], streams[1, layer]
            sample_layer64(k0, k1, s0, s1, trials[t], law, scales[layer], weights[t, a:b], keys[t, a:b])


@kernel
def mask_keys(k0, k1, streams, trials, at, keys):
    """Fill random rank keys ``[n_trials, n_weights]``, 31 or 53 bits by the dtype of ``keys``."""
    for t in range(trials.size):
        for layer in range(at.size - 1):
            part = keys[t, at[layer] : at[layer + 1]]
            if keys.itemsize == 4:
                mask_keys32(k0, k1, streams[0, layer], trials[t], part)
            else:
                mask_keys64(k0, k1, streams[0, layer], streams[1, layer], trials[t], part)


@kernel
def transpose_all(weights, widths, at, out):
    """Transpose all matrices of all trials."""
    for t in range(weights.shape[0]):
        transpose(weights[t], widths, at, out[t])


@kernel
def turn_rows(widths, entries, turned):
    """Transpose the compressed rows of every layer and trial; entries of a row keep increasing columns."""
    room, starts, columns, values = entries
    turned_room, turned_starts, turned_columns, turned_values = turned
    n, depth = starts.shape[0], widths.size - 1
    for t in range(n):
        first, turned_first = 0, 0
        for layer in range(depth):
            d_out, d_in, spot, to = widths[layer + 1], widths[layer], room[layer], turned_room[layer]
            rows = starts[t, first : first + d_out + 1]
            into = turned_starts[t, turned_first : turned_first + d_in + 1]
            _turn(rows, columns[t, spot:], values[t, spot:], into, turned_columns[t, to:], turned_values[t, to:])
            first += d_out + 1
            turned_first += d_in + 1


@inner
def _turn(rows, columns, values, into, turned_columns, turned_values):
    clear(into)
    n_entries = rows[rows.size - 1]
    for p in range(n_entries):
        into[columns[p] + 1] += 1
    for j in range(into.size - 1):
        into[j + 1] += into[j]
    cursor = np.empty(into.size, np.int64)
    copy(into, cursor)
    for i in range(rows.size - 1):
        for p in range(rows[i], rows[i + 1]):
            spot = cursor[columns[p]]
            turned_columns[spot] = i
            turned_values[spot] = values[p]
            cursor[columns[p]] += 1


@kernel
def forward_all(shape, weights, bias, activation, x, z, h):
    """Run all targets, outputs included."""
    for t in range(x.shape[0]):
        forward(shape, weights[t], bias, activation, x[t], z[t], h[t], shape[0].size - 1)


@inner
def entries_of(entries, t):
    """Return the compressed rows of one trial."""
    return entries[0], entries[1][t], entries[2][t], entries[3][t]


@inner
def joint_entries_of(joint, place, t):
    """Return the compressed rows of one rule and trial, and the row of every entry."""
    return joint[0][place], joint[1][place, t], joint[2][t], joint[3][t], joint[4][t]


@kernel
def difference_all(shape, weights, entries, activation, x, z, h, norms):
    """Propagate all deviations after a forward pass; ``norms`` receives the gaps ``[n_trials, n_columns]``."""
    stacks, squares = np.empty((2, shape[2][-1], x.shape[2]), x.dtype), np.empty(x.shape[2], np.float64)
    dz, dh = stacks[0], stacks[1]
    for t in range(x.shape[0]):
        difference(shape, weights[t], entries_of(entries, t), activation, x[t], z[t], h[t], dz, dh)
        column_norms(dz[shape[2][-2] :], squares, norms[t])


@kernel
def differences_all(shape, weights, joint, places, activation, x, z, h, norms):
    """Do the same for several rules with joint entries; ``norms`` ``[n_rules, n_trials, n_columns]``.

    ``joint`` as in ``JointEntries``, of which the rules in ``places`` are wanted. Panels of 8 columns go through the weights
    two by two.
    """
    stacks = np.empty((4, shape[2][-1], x.shape[2]), x.dtype)
    dz, dh, dz2, dh2 = stacks[0], stacks[1], stacks[2], stacks[3]
    squares, last = np.empty(x.shape[2], np.float64), shape[2][-2]
    for t in range(x.shape[0]):
        i = 0
        while i < places.size:
            own = joint_entries_of(joint, places[i], t)
            if i + 1 < places.size and x.shape[2] == PAIRED:
                two = (own, joint_entries_of(joint, places[i + 1], t))
                difference_of_two(shape, weights[t], two, activation, x[t], z[t], h[t], (dz, dh, dz2, dh2))
                column_norms(dz2[last:], squares, norms[places[i + 1], t])
                column_norms(dz[last:], squares, norms[places[i], t])
                i += 2
                continue
            difference(shape, weights[t], own[:4], activation, x[t], z[t], h[t], dz, dh)
            column_norms(dz[last:], squares, norms[places[i], t])
            i += 1


@kernel
def pair_all(shape, weights, bias, entries, activation, x, z, h, norms):
    """Run all targets and all deviations side by side; the arrays are those of ``forward_all`` and ``difference_all``."""
    stacks = np.empty((2, shape[2][-1], x.shape[2]), x.dtype)
    dz, dh = stacks[0], stacks[1]
    squares, n_layers = np.empty(x.shape[2], np.float64), shape[0].size - 1
    for t in range(x.shape[0]):
        own = entries_of(entries, t)
        forward_pair(shape, weights[t], bias, own, activation, x[t], (z[t], h[t], dz, dh), n_layers)
        column_norms(dz[shape[2][-2] :], squares, norms[t])


@kernel
def gap_and_gradient_all(shape, weights, turned, bias, entries, turned_entries, activation, x, norms, gradient):
    """Gap and gradient at x in one pass a trial, with all intermediate values in cache."""
    n_rows, c = shape[2][-1], x.shape[2]
    z, h = np.empty((n_rows, c), x.dtype), np.empty((n_rows, c), x.dtype)
    dz, dh, squares = np.empty((n_rows, c), x.dtype), np.empty((n_rows, c), x.dtype), np.empty(c, np.float64)
    for t in range(x.shape[0]):
        own = entries_of(entries, t)
        forward_pair(shape, weights[t], bias, own, activation, x[t], (z, h, dz, dh), shape[0].size - 2)
        column_norms(dz[shape[2][-2] :], squares, norms[t])
        gap_gradient(shape, turned[t], entries_of(turned_entries, t), activation, z, dz, norms[t], gradient[t])


@kernel
def output_norms_all(rows, z, norms):
    """||F(x)|| of all columns."""
    squares = np.empty(z.shape[2], np.float64)
    for t in range(z.shape[0]):
        column_norms(z[t, rows[rows.size - 2] :], squares, norms[t])


@kernel
def output_gradient_all(shape, turned, activation, z, norms, gradient):
    """Gradients of ||F(x)|| of all columns."""
    for t in range(z.shape[0]):
        output_gradient(shape, turned[t], activation, z[t], norms[t], gradient[t])


@kernel
def move_all(x, gradient, length, out):
    """One projected step of every column of every trial."""
    for t in range(x.shape[0]):
        move(x[t], gradient[t], length[t], out[t])
