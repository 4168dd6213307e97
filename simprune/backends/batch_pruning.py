"""Kernels over a batch of trials that prune: by stored keys, while weights are drawn, and by several rules at once."""

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.compile import inner, kernel
from simprune.backends.joint_selection import candidates_of, prune_smallest_of, start_rows
from simprune.backends.sampling import SPARE, sample_listed32
from simprune.backends.selection import compress_rows, keep_smallest, list_at_most, select, smallest_kept


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

    ``highs``: the bounds of the candidates' keys, ``[depth]``. ``entries`` as in ``JointEntries``; ``counts`` and
    ``thresholds`` are ``[n_rules, n_trials, depth]``; ``by_weight`` says that keys rank like magnitudes. Every rule leaves
    the next one what it prunes, so ranks should fall from rule to rule; a layer with too few candidates gets count -1.
    """
    widths, at, _ = shape
    rooms, starts, columns, values, lines = entries
    listed_room, listed, listed_keys, n_listed = candidates
    n_rules, n, depth = counts.shape
    most = _largest(listed_room) + SPARE
    row_of, column_of, index = np.empty((3, most), np.int32)
    near, value_of = np.empty(most, listed_keys.dtype), np.empty(most, weights.dtype)
    for t in range(n):
        first = 0
        for layer in range(depth):
            own, begin, left = weights[t, at[layer] : at[layer + 1]], listed_room[layer], max(n_listed[t, layer], 0)
            stop, found = begin + left, (near, row_of, column_of, value_of)
            candidates_of(listed[t, begin:stop], listed_keys[t, begin:stop], own, widths[layer], found)
            for rule in range(n_rules):
                k, spot = ranks[rule, layer], rooms[rule, layer]
                out = (lines[t, spot:], columns[t, spot:], values[t, spot:])
                rows = starts[rule, t, first : first + widths[layer + 1] + 1]
                counts[rule, t, layer] = k if left > k else -1
                if rule > 0 and left == k == counts[rule - 1, t, layer]:
                    for p in range(k):
                        out[0][p], out[1][p], out[2][p] = found[1][p], found[2][p], found[3][p]
                    start_rows(out[0][:k], rows)
                    counts[rule, t, layer], thresholds[rule, t, layer] = k, thresholds[rule - 1, t, layer]
                if left <= k:
                    continue
                following = prune_smallest_of(found, left, k, highs[layer], out)
                start_rows(out[0][:k], rows)
                found, left = (near, out[0], out[1], out[2]), k
                if by_weight:
                    thresholds[rule, t, layer] = np.abs(np.float64(following))
                    continue
                for p in range(k):
                    index[p] = out[0][p] * widths[layer] + out[1][p]
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
