"""Branch and bound over the unit ball of few inputs, compiled; ``reference_exact`` says how in plain NumPy."""

import numpy as np

from simprune.backends.compile import inner, kernel
from simprune.backends.exact_forms import propagate
from simprune.backends.exact_inputs import basis_of, lifted, reduced
from simprune.backends.pair import layer_matrix, widest
from simprune.gap.exact import MOST_INPUTS, OUTSIDE, ROUNDING


@inner
def _norm_at(form, t):
    square = 0.0
    for i in range(form.shape[0]):
        value = form[i, 0]
        for j in range(t.size):
            value += form[i, 1 + j] * t[j]
        square += value * value
    return np.sqrt(square)


@inner
def _rest_norm(form):
    square = 0.0
    for i in range(form.shape[0]):
        square += form[i, form.shape[1] - 1] ** 2
    return np.sqrt(square)


@inner
def _largest(form, cell, t, cut):
    """Return the largest norm of the form at a vertex of the box cut by {2 c t <= 1 - |c|^2}, rest added."""
    centre, half = cell
    n = half.size
    room, largest = OUTSIDE, 0.0
    for j in range(n):
        room -= centre[j] * centre[j]
    for signs in range(1 << n):
        excess = -room
        for j in range(n):
            t[j] = half[j] if signs >> j & 1 else -half[j]
            excess += 2.0 * centre[j] * t[j]
        if excess <= 0.0:
            largest = max(largest, _norm_at(form, t))
            continue
        for axis in range(n):
            along = 4.0 * centre[axis] * t[axis]
            if excess <= along:
                cut[:] = t
                cut[axis] *= 1.0 - 2.0 * excess / along
                largest = max(largest, _norm_at(form, cut))
    return (largest + _rest_norm(form)) * ROUNDING


@inner
def _sift_up(heap, order, i):
    moving = order[i]
    while i > 0:
        above = (i - 1) // 2
        if heap[order[above], 0] >= heap[moving, 0]:
            break
        order[i] = order[above]
        i = above
    order[i] = moving


@inner
def _sift_down(heap, order, size):
    moving, i = order[0], 0
    while 2 * i + 1 < size:
        below = 2 * i + 1
        if below + 1 < size and heap[order[below + 1], 0] > heap[order[below], 0]:
            below += 1
        if heap[order[below], 0] <= heap[moving, 0]:
            break
        order[i] = order[below]
        i = below
    order[i] = moving


@inner
def _try_centre(problem, centre, work, point, nothing):
    """Return a value that is attained at the centre, brought into the ball (written to ``point``)."""
    shape, matrices, activation, constants = problem
    square = 0.0
    for j in range(centre.size):
        square += centre[j] * centre[j]
    shrink = max(1.0, np.sqrt(square) * ROUNDING)
    for j in range(centre.size):
        point[j] = centre[j] / shrink
    propagate(shape, matrices, activation, constants, (point, nothing), work)
    form = work[3][: shape[0][-1]]
    return (_norm_at(form, nothing) - _rest_norm(form)) / ROUNDING


@inner
def _search(problem, floor, limits, heap, order, work, witness):
    """Halve the cell with the largest bound until that is small enough; ``heap`` rows are bound, centre, half widths."""
    shape, matrices, activation, constants = problem
    tolerance, cells = limits
    n, d_out = witness.size, shape[0][-1]
    t, cut, point, nothing = np.empty(n), np.empty(n), np.empty(n), np.zeros(n)
    best, size, used = floor, 1, 1
    heap[0, 1 : n + 1], heap[0, n + 1 :] = 0.0, OUTSIDE
    order[0] = 0
    cell = (heap[0, 1 : n + 1], heap[0, n + 1 :])
    propagate(shape, matrices, activation, constants, cell, work)
    heap[0, 0] = _largest(work[3][:d_out], cell, t, cut)
    while used < cells:
        top = order[0]
        if heap[top, 0] <= (1.0 + tolerance) * best:
            break
        value = _try_centre(problem, heap[top, 1 : n + 1], work, point, nothing)
        if value > best:
            best = value
            witness[:] = point
        axis = 0
        for j in range(1, n):
            if heap[top, n + 1 + j] > heap[top, n + 1 + axis]:
                axis = j
        heap[top, n + 1 + axis] *= 0.5
        parent = heap[top, 0]
        heap[used] = heap[top]
        heap[top, 1 + axis] -= heap[top, n + 1 + axis]
        heap[used, 1 + axis] += heap[top, n + 1 + axis]
        for spot in (top, used):
            cell = (heap[spot, 1 : n + 1], heap[spot, n + 1 :])
            propagate(shape, matrices, activation, constants, cell, work)
            nearest = 0.0
            for j in range(n):
                nearest += max(np.abs(cell[0][j]) - cell[1][j], 0.0) ** 2
            heap[spot, 0] = min(parent, _largest(work[3][:d_out], cell, t, cut)) if nearest <= OUTSIDE else 0.0
        _sift_down(heap, order, size)
        order[size] = used
        _sift_up(heap, order, size)
        size, used = size + 1, used + 1
    return max(heap[order[0], 0], best)


@inner
def _spread(shape, entries, t, deltas):
    """Write the pruned entries Delta of a trial as dense matrices; ``entries`` hold -Delta in compressed rows."""
    widths, at, rows = shape
    room, starts, columns, values = entries
    deltas[:] = 0.0
    for layer in range(widths.size - 1):
        delta = layer_matrix(deltas, widths, at, layer)
        first, spot = rows[layer] + layer, room[layer]
        for i in range(widths[layer + 1]):
            for p in range(starts[t, first + i], starts[t, first + i + 1]):
                delta[i, columns[t, spot + p]] = -values[t, spot + p]


@kernel
def exact_gaps(shape, weights, bias, entries, activation, constants, limits, floors, uppers, witnesses):
    """Fill ``uppers`` ``[n_trials]``, and ``witnesses`` ``[n_trials, d_0]`` where an input beat ``floors``.

    ``constants`` = (Lipschitz constant, bounds of |s''| and |s'''|, |s(0)|); ``limits`` = (tolerance, number of cells).
    Where more than ``MOST_INPUTS`` directions of the input matter the upper value is inf.
    """
    widths, at, rows = shape
    most, top = min(widths[0], MOST_INPUTS), max(widest(widths[1:]), MOST_INPUTS)
    room, order = np.empty(limits[1] * (2 * most + 1)), np.empty(limits[1], np.int64)
    deltas, biases = np.empty(weights.shape[1]), bias.astype(np.float64)
    for t in range(weights.shape[0]):
        full = weights[t].astype(np.float64)
        _spread(shape, entries, t, deltas)
        basis = basis_of(layer_matrix(full, widths, at, 0), layer_matrix(deltas, widths, at, 0))
        n = basis.shape[0]
        if n > MOST_INPUTS:
            uppers[t] = np.inf
            continue
        small_widths, small_at, slack = reduced(widths, at, full, deltas, basis)
        shift = at[1] - small_at[1]
        matrices = (full[shift:], deltas[shift:], biases, slack)
        problem = ((small_widths, small_at, rows), matrices, activation, constants)
        heap = room[: limits[1] * (2 * n + 1)].reshape(limits[1], 2 * n + 1)
        forms = (np.empty((top, n + 2)), np.empty((top, n + 2)), np.empty((top, n + 2)), np.empty((top, n + 2)))
        best = np.zeros(n)
        uppers[t] = _search(problem, floors[t], limits, heap, order, (*forms, np.empty((4, top))), best)
        lifted(basis, best, witnesses[t])
