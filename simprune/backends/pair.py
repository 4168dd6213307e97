"""Target and pruned network side by side: forward pass, difference propagation, and the gradient of the gap.

The deviation f - F is propagated itself (dz = W dh - Delta h'), never formed as a difference of outputs, so float32
resolves gaps far below the rounding error of the outputs. Tuples keep the argument lists short:
``shape`` = (``widths`` ``[depth + 1]``, ``at``: offset of each layer in the flat weights, ``rows``: first row of each
layer's outputs in the stacked activations); ``activation`` = (code, parameter, smooth); ``entries`` = (``room``: offset
of each layer's entries, row starts of all layers one after the other, columns, values), compressed rows of -Delta.
"""

import numpy as np

from simprune.backends.assign import clear
from simprune.backends.compile import inner
from simprune.backends.elementwise import activate, activate_difference, pull_back, pull_back_pair
from simprune.backends.products import add_entries, add_sparse, multiply, multiply_both, multiply_listed
from simprune.backends.tiles import PAIRED


@inner
def widest(widths):
    """Return the largest width."""
    top = widths[0]
    for i in range(1, widths.size):
        top = max(top, widths[i])
    return top


@inner
def layer_matrix(flat, widths, at, layer):
    """Return the view ``[d_out, d_in]`` of a layer in the flat weights."""
    return flat[at[layer] : at[layer + 1]].reshape(widths[layer + 1], widths[layer])


@inner
def layer_transposed(flat, widths, at, layer):
    """Return the view ``[d_in, d_out]`` of a layer in the flat transposed weights."""
    return flat[at[layer] : at[layer + 1]].reshape(widths[layer], widths[layer + 1])


@inner
def transpose(weights, widths, at, out):
    """Write the transposed matrices of every layer, by square tiles."""
    step = 16
    for layer in range(widths.size - 1):
        w, t = layer_matrix(weights, widths, at, layer), layer_transposed(out, widths, at, layer)
        for i0 in range(0, w.shape[0], step):
            for j0 in range(0, w.shape[1], step):
                for i in range(i0, min(i0 + step, w.shape[0])):
                    for j in range(j0, min(j0 + step, w.shape[1])):
                        t[j, i] = w[i, j]


@inner
def _add_bias(bias, first, part):
    """Add the biases from ``first`` on to the rows of a layer's outputs, if there are any."""
    if bias.size:
        for i in range(part.shape[0]):
            for c in range(part.shape[1]):
                part[i, c] += bias[first + i]


@inner
def forward(shape, weights, bias, activation, x, z, h, n_layers):
    """Run the first ``n_layers`` layers of the target on the columns of x."""
    widths, at, rows = shape
    code, parameter, smooth = activation
    depth = widths.size - 1
    inputs = x
    for layer in range(n_layers):
        first, stop = rows[layer], rows[layer + 1]
        part = z[first:stop]
        multiply(layer_matrix(weights, widths, at, layer), inputs, part)
        _add_bias(bias, first, part)
        if layer < depth - 1:
            activate(code, parameter, smooth, part.reshape(-1), h[first:stop].reshape(-1))
            inputs = h[first:stop]


@inner
def difference(shape, weights, entries, activation, x, z, h, dz, dh):
    """Propagate the pruned network's deviation; row blocks of ``dz`` hold it before, of ``dh`` after the activation."""
    widths, at, rows = shape
    used, n_used = np.empty(widest(widths), np.int32), 0
    for layer in range(widths.size - 1):
        part = dz[rows[layer] : rows[layer + 1]]
        if layer == 0:
            clear(part)
        else:
            matrix = layer_matrix(weights, widths, at, layer)
            multiply_listed(matrix, dh[rows[layer - 1] : rows[layer]], used[:n_used], part)
        n_used = _add_pruned(rows, entries, layer, (x, h, dh), part, used)
        _deviate(rows, activation, layer, z, dz, dh)


@inner
def difference_of_two(shape, weights, two, activation, x, z, h, stacks):
    """Propagate the deviations of two pruned networks, panels of 8 columns; ``two`` = their entries, with the row of each,
    ``stacks`` = dz and dh of the first, dz and dh of the second.

    The bits are those of ``difference``; weights are read once for both.
    """
    widths, at, rows = shape
    first, second = two
    dz, dh, dz2, dh2 = stacks
    used, used2 = np.empty((2, widest(widths)), np.int32)
    n_used, n_used2 = 0, 0
    for layer in range(widths.size - 1):
        part, part2 = dz[rows[layer] : rows[layer + 1]], dz2[rows[layer] : rows[layer + 1]]
        if layer == 0:
            clear(part)
            clear(part2)
        else:
            matrix, low, high = layer_matrix(weights, widths, at, layer), rows[layer - 1], rows[layer]
            if n_used + n_used2 > widths[layer]:
                multiply_both(matrix, dh[low:high], dh2[low:high], part, part2)
            else:
                multiply_listed(matrix, dh[low:high], used[:n_used], part)
                multiply_listed(matrix, dh2[low:high], used2[:n_used2], part2)
        n_used = _add_listed(rows, first, layer, (x, h, dh), part, used)
        n_used2 = _add_listed(rows, second, layer, (x, h, dh2), part2, used2)
        _deviate(rows, activation, layer, z, dz, dh)
        _deviate(rows, activation, layer, z, dz2, dh2)


@inner
def forward_pair(shape, weights, bias, entries, activation, x, stacks, n_layers):
    """Run the first ``n_layers`` layers of the target and all of the deviation, layer by layer side by side.

    ``stacks``: z, h, dz and dh. The bits are those of ``forward`` and ``difference``; with 8 columns the weights are read
    once instead of twice.
    """
    z, h, dz, dh = stacks
    widths, at, rows = shape
    code, parameter, smooth = activation
    depth, c = widths.size - 1, x.shape[1]
    used, n_used = np.empty(widest(widths), np.int32), 0
    for layer in range(depth):
        first, stop = rows[layer], rows[layer + 1]
        part, moved = z[first:stop], dz[first:stop]
        matrix = layer_matrix(weights, widths, at, layer)
        low, high = rows[max(layer - 1, 0)], rows[max(layer, 1)]
        both = 0 < layer < n_layers and c == PAIRED
        if both:
            multiply_both(matrix, h[low:high], dh[low:high], part, moved)
        elif layer < n_layers:
            multiply(matrix, h[low:high] if layer else x, part)
        if layer == 0:
            clear(moved)
        elif not both:
            multiply_listed(matrix, dh[low:high], used[:n_used], moved)
        n_used = _add_pruned(rows, entries, layer, (x, h, dh), moved, used)
        if layer < n_layers:
            _add_bias(bias, first, part)
        if layer < depth - 1:
            activate(code, parameter, smooth, part.reshape(-1), h[first:stop].reshape(-1))
        _deviate(rows, activation, layer, z, dz, dh)


@inner
def _add_pruned(rows, entries, layer, inputs, part, used):
    """Add what the pruned entries of a layer make of its inputs, (x, h, dh); list the rows of ``part`` that may not be 0."""
    room, starts, columns, values = entries
    x, h, dh = inputs
    first, stop, begin = rows[layer], rows[layer + 1], room[layer]
    row_starts = starts[first + layer : stop + layer + 1]
    if layer == 0:
        add_sparse(row_starts, columns[begin:], values[begin:], x, part)
        return _list_rows(row_starts, used)
    low, high = rows[layer - 1], rows[layer]
    add_sparse(row_starts, columns[begin:], values[begin:], (h[low:high], dh[low:high]), part)
    return _list_all(used[: stop - first])


@inner
def _add_listed(rows, entries, layer, inputs, part, used):
    """Do the same for panels of 8 columns, entry by entry."""
    room, starts, columns, values, lines = entries
    x, h, dh = inputs
    first, stop, begin = rows[layer], rows[layer + 1], room[layer]
    row_starts = starts[first + layer : stop + layer + 1]
    end = begin + row_starts[stop - first]
    own = (lines[begin:end], columns[begin:end], values[begin:end])
    if layer == 0:
        add_entries(*own, x, part)
        return _list_rows(row_starts, used)
    low, high = rows[layer - 1], rows[layer]
    add_entries(*own, (h[low:high], dh[low:high]), part)
    return _list_all(used[: stop - first])


@inner
def _deviate(rows, activation, layer, z, dz, dh):
    """Carry the deviation of a hidden layer through the activation."""
    if layer < rows.size - 2:
        code, parameter, smooth = activation
        first, stop = rows[layer], rows[layer + 1]
        activate_difference(
            code, parameter, smooth, z[first:stop].reshape(-1), dz[first:stop].reshape(-1), dh[first:stop].reshape(-1)
        )


@inner
def _list_rows(row_starts, used):
    """List the rows that have entries: before the activation all other deviations of the first layer are 0, and after it."""
    count = 0
    for i in range(row_starts.size - 1):
        used[count] = i
        count += np.int64(row_starts[i + 1] > row_starts[i])
    return count


@inner
def _list_all(used):
    for i in range(used.size):
        used[i] = i
    return used.size


@inner
def column_norms(a, squares, norms):
    """Write the Euclidean norms of the columns of a, summed in float64 in row order."""
    clear(squares)
    for i in range(a.shape[0]):
        row = a[i]
        for c in range(row.size):
            squares[c] += np.float64(row[c]) * np.float64(row[c])
    for c in range(squares.size):
        norms[c] = np.sqrt(squares[c])


@inner
def normalised(a, norms, out):
    """out = a with columns divided by ``norms``; a zero column stays zero."""
    for i in range(a.shape[0]):
        for c in range(a.shape[1]):
            out[i, c] = a[i, c] / norms[c] if norms[c] > 0 else 0.0


@inner
def gap_gradient(shape, turned, entries, activation, z, dz, norms, gradient):
    """Write the gradient of ||f(x) - F(x)|| with respect to x.

    ``turned`` holds the transposed weights and ``entries`` the compressed rows of -Delta transposed. p is the adjoint
    of the pruned network and e that of the difference: e' = W^T e - Delta^T p, p' = W^T p - Delta^T p.
    """
    widths, at, rows = shape
    room, starts, columns, values = entries
    code, parameter, smooth = activation
    depth = widths.size - 1
    top, c = widest(widths), dz.shape[1]
    p, e = np.empty((top, c), dz.dtype), np.empty((top, c), dz.dtype)
    p2, e2 = np.empty((top, c), dz.dtype), np.empty((top, c), dz.dtype)
    last = rows[depth - 1]
    normalised(dz[last:], norms, p[: widths[depth]])
    for layer in range(depth - 1, -1, -1):
        d_out, d_in = widths[layer + 1], widths[layer]
        matrix = layer_transposed(turned, widths, at, layer)
        begin, first = room[layer], at_columns(widths, layer)
        rows_in = starts[first : first + d_in + 1]
        into = gradient if layer == 0 else e2[:d_in]
        if layer == depth - 1:
            clear(into)
            if layer:
                multiply(matrix, p[:d_out], p2[:d_in])
        elif layer == 0:
            multiply(matrix, e[:d_out], into)
        else:
            multiply_both(matrix, e[:d_out], p[:d_out], into, p2[:d_in])
        add_sparse(rows_in, columns[begin:], values[begin:], p[:d_out], into)
        if layer == 0:
            return
        add_sparse(rows_in, columns[begin:], values[begin:], p[:d_out], p2[:d_in])
        p, p2, e, e2 = p2, p, e2, e
        low, high = rows[layer - 1], rows[layer]
        flat = (z[low:high].reshape(-1), dz[low:high].reshape(-1), p[:d_in].reshape(-1), e[:d_in].reshape(-1))
        pull_back_pair(code, parameter, smooth, *flat)


@inner
def at_columns(widths, layer):
    """Return the first entry of a layer in the row starts of the transposed pruned entries."""
    first = layer
    for earlier in range(layer):
        first += widths[earlier]
    return first


@inner
def output_gradient(shape, turned, activation, z, norms, gradient):
    """Write the gradient of ||F(x)|| with respect to x."""
    widths, at, rows = shape
    code, parameter, smooth = activation
    depth = widths.size - 1
    top, c = widest(widths), z.shape[1]
    p, p2 = np.empty((top, c), z.dtype), np.empty((top, c), z.dtype)
    normalised(z[rows[depth - 1] :], norms, p[: widths[depth]])
    for layer in range(depth - 1, -1, -1):
        matrix = layer_transposed(turned, widths, at, layer)
        if layer == 0:
            multiply(matrix, p[: widths[1]], gradient)
            return
        multiply(matrix, p[: widths[layer + 1]], p2[: widths[layer]])
        p, p2 = p2, p
        pull_back(code, parameter, smooth, z[rows[layer - 1] : rows[layer]].reshape(-1), p[: widths[layer]].reshape(-1))


@inner
def move(x, gradient, length, out):
    """out = projection on the unit ball of x + length * g / ||g||, column by column (see ``Ops.step``)."""
    d, c = x.shape
    squares, slopes, norms = np.empty(c, np.float64), np.empty(c, np.float64), np.empty(c, np.float64)
    column_norms(gradient, squares, slopes)
    for j in range(c):
        steep = slopes[j] > 0.0
        slopes[j] = length[j] / slopes[j] if steep and length[j] < np.inf else slopes[j]
    for i in range(d):
        for j in range(c):
            if not slopes[j] > 0.0:
                out[i, j] = x[i, j]
            elif length[j] < np.inf:
                out[i, j] = x[i, j] + slopes[j] * gradient[i, j]
            else:
                out[i, j] = gradient[i, j] / slopes[j]
    column_norms(out, squares, norms)
    for i in range(d):
        for j in range(c):
            if norms[j] > 1.0:
                out[i, j] = out[i, j] / norms[j]
