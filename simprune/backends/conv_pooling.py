"""Average and maximum pooling of target and pruned network side by side.

``window`` = (channels, height, width, kernel height and width, strides, output height and width, 1 for maxima). A maximum
moves by max over the window of (h_j - h_m) + dh_j, where m is the target's place: no term is larger than the deviation.
Ties go to the first place.
"""

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.compile import inner, kernel
from simprune.backends.conv_pool_tiles import max_tile, moved_tile, pull_pair_tile, pull_tile

_max16, _max8 = max_tile(16), max_tile(8)
_moved16, _moved8 = moved_tile(16), moved_tile(8)
_pull16, _pull8 = pull_tile(16), pull_tile(8)
_pair16, _pair8 = pull_pair_tile(16), pull_pair_tile(8)


@inner
def first_rows(window, place):
    """Return the first source row of an output place, the step between source rows, and the kernel's size."""
    _, h, w, kh, kw, sh, sw, oh, ow, _ = window
    channel, rest = place // (oh * ow), place % (oh * ow)
    y, x = rest // ow * sh, rest % ow * sw
    return (channel * h + y) * w + x, w, kh, kw


@inner
def largest(image, first, width, kh, kw, column):
    """Return the row of the first largest number of a window in one column."""
    best = first
    for a in range(kh):
        for b in range(kw):
            row = first + a * width + b
            if image[row, column] > image[best, column]:
                best = row
    return best


@inner
def largest_moved(h, dh, place, first, width, kh, kw, column):
    """Return the row where (h_j - h_m) + dh_j is largest, m = ``place``, and the value there."""
    top = h[place, column]
    best, value = place, dh[place, column]
    for a in range(kh):
        for b in range(kw):
            row = first + a * width + b
            moved = (h[row, column] - top) + dh[row, column]
            if moved > value:
                best, value = row, moved
    return best, value


@inner
def _windows(window, n):
    """Return where the windows begin in a flat image of n columns, and where a window's rows lie from there."""
    _, width, kh, kw = first_rows(window, 0)
    corners, table = np.empty(window[0] * window[7] * window[8], np.int64), np.empty(kh * kw, np.int64)
    for place in range(corners.size):
        corners[place] = first_rows(window, place)[0] * n
    for k in range(table.size):
        table[k] = (k // kw * width + k % kw) * n
    return corners, table


@kernel
def pool(window, x, out):
    """Pool every trial's image."""
    n = x.shape[2]
    corners, table = _windows(window, n)
    for t in range(x.shape[0]):
        if window[9]:
            image, pooled = x[t].reshape(-1), out[t].reshape(-1)
            for place in range(corners.size):
                for j in range(0, n - 15, 16):
                    _max16(image, corners[place] + j, table, place * n + j, pooled)
                if n % 16:
                    _max8(image, corners[place] + n - 8, table, place * n + n - 8, pooled)
            continue
        for place in range(out.shape[1]):
            first, width, kh, kw = first_rows(window, place)
            total = out[t, place]
            clear(total)
            for a in range(kh):
                for b in range(kw):
                    row = x[t, first + a * width + b]
                    for j in range(total.size):
                        total[j] += row[j]
            share = x.dtype.type(1.0 / (kh * kw))
            for j in range(total.size):
                total[j] *= share


@kernel
def pool_difference(window, h, dh, out):
    """Deviation of the pooled values of maxima (averages are linear: ``pool``)."""
    n = h.shape[2]
    corners, table = _windows(window, n)
    for t in range(h.shape[0]):
        image, moved, pooled = h[t].reshape(-1), dh[t].reshape(-1), out[t].reshape(-1)
        for place in range(corners.size):
            for j in range(0, n - 15, 16):
                _moved16(image, moved, corners[place] + j, table, place * n + j, pooled)
            if n % 16:
                j = n - 8
                _moved8(image, moved, corners[place] + j, table, place * n + j, pooled)


@kernel
def pull_pool(window, h, p, out):
    """Adjoint of pooling at h."""
    n, share = p.shape[2], p.dtype.type(1.0 / (window[3] * window[4]))
    corners, table = _windows(window, n)
    for t in range(p.shape[0]):
        clear(out[t])
        if window[9]:
            image, pooled, pulled = h[t].reshape(-1), p[t].reshape(-1), out[t].reshape(-1)
            for place in range(corners.size):
                for j in range(0, n - 15, 16):
                    _pull16(image, pulled, corners[place] + j, table, place * n + j, pooled)
                if n % 16:
                    j = n - 8
                    _pull8(image, pulled, corners[place] + j, table, place * n + j, pooled)
            continue
        for place in range(p.shape[1]):
            first, width, kh, kw = first_rows(window, place)
            for a in range(kh):
                for b in range(kw):
                    row = out[t, first + a * width + b]
                    for j in range(row.size):
                        row[j] += share * p[t, place, j]


@kernel
def pull_pool_pair(window, h, dh, p, e, p_out, e_out):
    """Adjoints of maxima of the pruned network (p) and of the difference (e)."""
    n = h.shape[2]
    corners, table = _windows(window, n)
    for t in range(p.shape[0]):
        clear(p_out[t])
        clear(e_out[t])
        images = (h[t].reshape(-1), dh[t].reshape(-1), p_out[t].reshape(-1), e_out[t].reshape(-1))
        own, other = p[t].reshape(-1), e[t].reshape(-1)
        for place in range(corners.size):
            for j in range(0, n - 15, 16):
                _pair16(*images, corners[place] + j, table, place * n + j, own, other)
            if n % 16:
                j = n - 8
                _pair8(*images, corners[place] + j, table, place * n + j, own, other)


@inner
def _spread(epsilon, dh, edh, first, width, kh, kw):
    low, high, size = np.inf, -np.inf, 0.0
    for a in range(kh):
        for b in range(kw):
            row = first + a * width + b
            low, high = min(low, dh[row, 0] - edh[row]), max(high, dh[row, 0] + edh[row])
            size = max(size, np.abs(dh[row, 0]))
    return high - low + 4.0 * epsilon * size


@kernel
def pool_errors(window, epsilon, values, errors, values_out, errors_out):
    """Pool value and deviation with bounds of their errors (``conv_evaluation``); all of one input, float64.

    ``values`` = (h ``[n, 1]``, dh ``[n, 1]``), ``errors`` = (eh ``[n]``, edh ``[n]``), and the same for the pooled ones.
    A maximum that is sure to be at the same place m in both networks moves by dh_m. Else its deviation is in error by at
    most max eh + max (eh + edh), and by no more than the spread of dh over the window: the true and the computed one lie
    between the least and the largest dh.
    """
    (h, dh), (eh, edh) = values, errors
    (pooled, moved), (e_pooled, e_moved) = values_out, errors_out
    for place in range(pooled.shape[0]):
        first, width, kh, kw = first_rows(window, place)
        if window[9]:
            m = largest(h, first, width, kh, kw, 0)
            best, value = largest_moved(h, dh, m, first, width, kh, kw, 0)
            pooled[place, 0], moved[place, 0] = h[m, 0], value
            clear, worst, worst_moved = best == m, 0.0, 0.0
            for a in range(kh):
                for b in range(kw):
                    row = first + a * width + b
                    worst, worst_moved = max(worst, eh[row]), max(worst_moved, eh[row] + edh[row])
                    if row != m:
                        apart = (h[m, 0] - h[row, 0]) * (1.0 - 2.0 * epsilon)
                        apart_moved = apart + dh[m, 0] - dh[row, 0]
                        reach = eh[m] + eh[row]
                        slack = 4.0 * epsilon * (np.abs(dh[m, 0]) + np.abs(dh[row, 0]) + apart)
                        clear = clear and apart > reach and apart_moved > reach + edh[m] + edh[row] + slack
            e_pooled[place] = worst
            if clear:
                e_moved[place] = edh[m]
            else:
                spread = _spread(epsilon, dh, edh, first, width, kh, kw)
                rounding = 2.0 * epsilon * (spread + np.abs(value))
                e_moved[place] = min(spread, worst + worst_moved + rounding)
            continue
        sums = np.zeros(6)
        for a in range(kh):
            for b in range(kw):
                row = first + a * width + b
                sums[0] += h[row, 0]
                sums[1] += dh[row, 0]
                sums[2] += eh[row]
                sums[3] += edh[row]
                sums[4] += np.abs(h[row, 0])
                sums[5] += np.abs(dh[row, 0])
        share, g = 1.0 / (kh * kw), (kh * kw + 8.0) * epsilon
        pooled[place, 0], moved[place, 0] = sums[0] * share, sums[1] * share
        e_pooled[place], e_moved[place] = (sums[2] + g * sums[4]) * share, (sums[3] + g * sums[5]) * share
