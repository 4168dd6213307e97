"""Kernels over a batch of trials: one call runs a pass for every trial, with all scratch reused."""

import numpy as np

from simprune.backends.assign import clear, copy
from simprune.backends.compile import inner, kernel
from simprune.backends.joint_selection import candidates_of, keep_first, list_rows
from simprune.backends.pair import (
    column_norms,
    difference,
    forward,
    forward_pair,
    gap_gradient,
    move,
    output_gradient,
    transpose,
)
from simprune.backends.sampling import (
    SPARE,
    mask_keys32,
    mask_keys64,
    sample_layer32,
    sample_layer64,
    sample_listed32,
)
from simprune.backends.selection import (
    compress_rows,
    keep_smallest,
    list_at_most,
    select,
    smallest_kept,
)


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
def list_candidates(shape, keys, highs, candidates):
    """List the keys <= ``highs[layer]`` of every layer and trial once, for rules that prune different numbers of them.

    ``candidates`` = (room, indices ``[n_trials, room]``, their keys, counts ``[n_trials, depth]``); a count of -1 means
    no room.
    """
    _, at, _ = shape
    room, index, near, counts = candidates
    for t in range(counts.shape[0]):
        for layer in range(counts.shape[1]):
            part, begin = keys[t, at[layer] : at[layer + 1]], room[layer]
            found = list_at_most(part, highs[layer], index[t, begin : room[layer + 1]])
            counts[t, layer] = found
            for p in range(begin, begin + found):
                near[t, p] = part[index[t, p]]


@kernel
def sample_and_list32(address, law, scales, shape, weights, highs, candidates):
    """Fill weights (float32) and do what ``list_candidates`` does with their keys, without ever storing these.

    ``address`` = (k0, k1, streams, trials).
    """
    k0, k1, streams, trials = address
    _, at, _ = shape
    room, index, keys, counts = candidates
    places, near = np.empty((2, _largest(at) + SPARE), np.int32)
    for t in range(counts.shape[0]):
        for layer in range(counts.shape[1]):
            own, begin, end, listed = weights[t, at[layer] : at[layer + 1]], room[layer], room[layer + 1], (places, near)
            scale = scales[layer]
            found = sample_listed32(k0, k1, streams[0, layer], trials[t], law, scale, own, highs[layer], listed)
            counts[t, layer] = found if found <= end - begin else -1
            for p in range(found if found <= end - begin else 0):
                index[t, begin + p] = places[p]
                keys[t, begin + p] = near[p]


@kernel
def prune_listed(shape, weights, candidates, highs, ranks, by_weight, entries, counts, thresholds):
    """Prune the ``ranks[rule, layer]`` smallest keys of every layer and trial by all rules, from ``candidates``.

    ``highs``: the bounds of the candidates' keys, ``[depth]``. ``entries`` = (rooms ``[n_rules, depth + 1]``, row starts
    ``[n_rules, n_trials, ...]``, columns and values that all rules share), ``counts`` and ``thresholds`` are ``[n_rules,
    n_trials, depth]``; ``by_weight`` says that keys rank like magnitudes. Every rule leaves the next one its own candidates
    only, so ranks should fall from rule to rule; a layer with too few candidates gets count -1.
    """
    widths, at, _ = shape
    rooms, starts, columns, values = entries
    listed_room, listed, listed_keys, n_listed = candidates
    n_rules, n, depth = counts.shape
    most = _largest(listed_room) + SPARE
    row_of, column_of, index = np.empty((3, most), np.int32)
    found = (np.empty(most, listed_keys.dtype), row_of, column_of, np.empty(most, weights.dtype))
    for t in range(n):
        first = 0
        for layer in range(depth):
            own, begin, left = weights[t, at[layer] : at[layer + 1]], listed_room[layer], max(n_listed[t, layer], 0)
            stop = begin + left
            candidates_of(listed[t, begin:stop], listed_keys[t, begin:stop], own, widths[layer], found)
            for rule in range(n_rules):
                k, spot = ranks[rule, layer], rooms[rule, layer]
                counts[rule, t, layer] = k if left > k else -1
                if left <= k:
                    continue
                kept, left = keep_first(found, left, k + 1, highs[layer]), k + 1
                rows = starts[rule, t, first : first + widths[layer + 1] + 1]
                list_rows(found, left, kept, rows, columns[t, spot:], values[t, spot:])
                if by_weight:
                    thresholds[rule, t, layer] = np.abs(np.float64(found[3][kept]))
                    continue
                for p in range(k):
                    place = p + np.int64(p >= kept)
                    index[p] = row_of[place] * widths[layer] + column_of[place]
                thresholds[rule, t, layer] = smallest_kept(own, index, k)
            first += widths[layer + 1] + 1


@kernel
def prune_smallest(shape, weights, keys, ranks, brackets, by_weight, entries, counts, thresholds):
    """Prune the ``ranks[layer]`` smallest keys of every layer and trial; fill the compressed rows of -Delta.

    ``brackets`` ``[2, depth]`` holds keys around the wanted rank; ``by_weight`` says that keys rank like magnitudes.
    """
    widths, at, _ = shape
    room, starts, columns, values = entries
    n, depth = counts.shape
    index = np.empty(_largest(at), np.int32)
    scratch = np.empty(index.size, keys.dtype)
    for t in range(n):
        first = 0
        for layer in range(depth):
            a, b = at[layer], at[layer + 1]
            k, low, high = ranks[layer], brackets[0, layer], brackets[1, layer]
            found = list_at_most(keys[t, a:b], high, index)
            kept = select(keys[t, a:b], k, low, high, index, found, scratch)
            counts[t, layer] = k
            if by_weight:
                thresholds[t, layer] = np.inf if kept < 0 else np.abs(np.float64(weights[t, a + kept]))
            else:
                thresholds[t, layer] = smallest_kept(weights[t, a:b], index, k)
            rows = starts[t, first : first + widths[layer + 1] + 1]
            spot = room[layer]
            compress_rows(index, k, weights[t, a:b], widths[layer], rows, columns[t, spot:], values[t, spot:])
            first += widths[layer + 1] + 1


@kernel
def sample_and_prune32(address, law, scales, shape, weights, ranks, brackets, entries, counts, thresholds):
    """Fill weights (float32) and prune the ``ranks[layer]`` smallest of every layer, without ever storing their keys.

    ``address`` = (k0, k1, streams, trials); the rest as for ``prune_smallest``. A layer whose bracket missed gets count -1.
    """
    k0, k1, streams, trials = address
    widths, at, _ = shape
    room, starts, columns, values = entries
    n, depth = counts.shape
    size = _largest(at) + SPARE
    index, near, order, scratch = np.empty((4, size), np.int32)
    for t in range(n):
        first = 0
        for layer in range(depth):
            a, b = at[layer], at[layer + 1]
            k, low, high = ranks[layer], brackets[0, layer], brackets[1, layer]
            own, listed = weights[t, a:b], (index, near)
            found = sample_listed32(k0, k1, streams[0, layer], trials[t], law, scales[layer], own, high, listed)
            for p in range(found):
                order[p] = p
            kept = keep_smallest(near, k, low, high, order, found, scratch) if found >= k else np.int64(-2)
            rows = starts[t, first : first + widths[layer + 1] + 1]
            first += widths[layer + 1] + 1
            counts[t, layer] = k if kept != -2 else -1
            if kept == -2:
                clear(rows)
                continue
            thresholds[t, layer] = np.abs(np.float64(own[index[kept]]))
            for p in range(k):
                index[p] = index[order[p]]
            spot = room[layer]
            compress_rows(index, k, own, widths[layer], rows, columns[t, spot:], values[t, spot:])


@kernel
def prune_below(shape, weights, keys, bounds, entries, counts, thresholds):
    """Prune all keys < ``bounds[layer]``; a layer whose entries exceed its room gets count -1."""
    widths, at, _ = shape
    room, starts, columns, values = entries
    n, depth = counts.shape
    index = np.empty(_largest(at) + 32, np.int32)
    for t in range(n):
        first = 0
        for layer in range(depth):
            a, b = at[layer], at[layer + 1]
            k = list_at_most(keys[t, a:b], bounds[layer] - keys.dtype.type(1), index)
            rows = starts[t, first : first + widths[layer + 1] + 1]
            first += widths[layer + 1] + 1
            spot = room[layer]
            counts[t, layer] = k
            if k > room[layer + 1] - spot:
                counts[t, layer] = -1
                clear(rows)
                continue
            thresholds[t, layer] = smallest_kept(weights[t, a:b], index, k)
            compress_rows(index, k, weights[t, a:b], widths[layer], rows, columns[t, spot:], values[t, spot:])


@inner
def _largest(at):
    largest = 0
    for layer in range(at.size - 1):
        largest = max(largest, at[layer + 1] - at[layer])
    return largest


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


@kernel
def difference_all(shape, weights, entries, activation, x, z, h, dz, norms):
    """Propagate all deviations after a forward pass; ``norms`` receives the gaps ``[n_trials, n_columns]``."""
    dh, squares = np.empty((shape[2][-1], x.shape[2]), x.dtype), np.empty(x.shape[2], np.float64)
    for t in range(x.shape[0]):
        difference(shape, weights[t], entries_of(entries, t), activation, x[t], z[t], h[t], dz[t], dh)
        column_norms(dz[t, shape[2][-2] :], squares, norms[t])


@kernel
def pair_all(shape, weights, bias, entries, activation, x, z, h, dz, norms):
    """Run all targets and all deviations side by side; the arrays are those of ``forward_all`` and ``difference_all``."""
    dh, squares = np.empty((shape[2][-1], x.shape[2]), x.dtype), np.empty(x.shape[2], np.float64)
    n_layers = shape[0].size - 1
    for t in range(x.shape[0]):
        own = entries_of(entries, t)
        forward_pair(shape, weights[t], bias, own, activation, x[t], (z[t], h[t], dz[t], dh), n_layers)
        column_norms(dz[t, shape[2][-2] :], squares, norms[t])


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
