"""CUDA kernels of pooling, there and back, for the target and the pruned network's deviation from it.

Arrays of columns are stacks of nodes (``cuda_plan.chain_plan``), an image's rows numbered (channel, row, column).
``window`` is that of ``backends.conv_pooling``. Ties of maxima go to the first place; nothing is added up by atomics.
"""

from simprune.backends.compile_cuda import cuda, device_function
from simprune.backends.cuda_passes import THREADS_FLAT


def _largest(window, h, t, first, c):
    """Return the row of the first largest number of the window that begins at row ``first``."""
    best = first
    for i in range(window[3]):
        for k in range(window[4]):
            row = first + i * window[2] + k
            if h[t, row, c] > h[t, best, c]:
                best = row
    return best


def _largest_moved(window, h, dh, t, first, m, c):
    """Return the row where (h_j - h_m) + dh_j is largest."""
    best, value = m, dh[t, m, c]
    for i in range(window[3]):
        for k in range(window[4]):
            row = first + i * window[2] + k
            moved = (h[t, row, c] - h[t, m, c]) + dh[t, row, c]
            if moved > value:
                best, value = row, moved
    return best


def _first_row(window, place):
    """Return the first row, in its image, of the window of an output place."""
    channel, y, x = place // (window[7] * window[8]), place // window[8] % window[7], place % window[8]
    return (channel * window[1] + y * window[5]) * window[2] + x * window[6]


largest, largest_moved, first_row = device_function(_largest), device_function(_largest_moved), device_function(_first_row)


def pool(window, source, sink, m, paired, h, dh):
    """Pool node ``source`` into node ``sink`` of ``m`` rows, with its deviation if ``paired``; grid (blocks, n_trials)."""
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * h.shape[2]:
        place, c = i // h.shape[2], i % h.shape[2]
        first = source + first_row(window, place)
        if window[9] != 0:
            best = largest(window, h, t, first, c)
            h[t, sink + place, c] = h[t, best, c]
            if paired:
                moved = largest_moved(window, h, dh, t, first, best, c)
                dh[t, sink + place, c] = (h[t, moved, c] - h[t, best, c]) + dh[t, moved, c]
        else:
            total, total_moved = h.dtype.type(0), h.dtype.type(0)
            for a in range(window[3]):
                for b in range(window[4]):
                    total += h[t, first + a * window[2] + b, c]
                    if paired:
                        total_moved += dh[t, first + a * window[2] + b, c]
            size = h.dtype.type(window[3] * window[4])
            h[t, sink + place, c] = total / size
            if paired:
                dh[t, sink + place, c] = total_moved / size


def pull_pool(window, source, sink, m, paired, h, dh, q, e):
    """Adjoint of pooling, from node ``sink`` to node ``source`` of ``m`` rows: q of the target, and e of the difference.

    A thread a number of the larger image: it looks into every window that holds it. Grid (blocks, n_trials).
    """
    i, t = cuda.blockIdx.x * THREADS_FLAT + cuda.threadIdx.x, cuda.blockIdx.y
    if i < m * q.shape[2]:
        row, c = i // q.shape[2], i % q.shape[2]
        channel, y, x = row // (window[1] * window[2]), row // window[2] % window[1], row % window[2]
        zero = q.dtype.type(0)
        own, own_moved = zero, zero
        for a in range(window[3]):
            for b in range(window[4]):
                at, across = y - a, x - b
                inside = at >= 0 and across >= 0 and at % window[5] == 0 and across % window[6] == 0
                if inside and at // window[5] < window[7] and across // window[6] < window[8]:
                    place = (channel * window[7] + at // window[5]) * window[8] + across // window[6]
                    u = q[t, sink + place, c]
                    v = e[t, sink + place, c] if paired else zero
                    if window[9] == 0:
                        own += u
                        own_moved += v
                    else:
                        first = source + first_row(window, place)
                        best = largest(window, h, t, first, c)
                        here = best == source + row
                        if here:
                            own += u
                        if paired:
                            moved_here = largest_moved(window, h, dh, t, first, best, c) == source + row
                            if here and moved_here:
                                own_moved += v
                            elif moved_here:
                                own_moved += u + v
                            elif here:
                                own_moved -= u
        size = q.dtype.type(window[3] * window[4])
        average = window[9] == 0
        q[t, source + row, c] = own / size if average else own
        if paired:
            e[t, source + row, c] = own_moved / size if average else own_moved
