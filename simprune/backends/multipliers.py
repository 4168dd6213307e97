"""Multipliers of the semidefinite certificate: where the search begins, and how it moves. Nothing here needs a proof."""

import numpy as np

from simprune.backends.certificates import lanczos_top
from simprune.backends.compile import inner


@inner
def groups(width, size):
    """Return where h, e and the constant (with padding) lie in a block of the chain."""
    return (0, width), (width, 2 * width), (2 * width, size)


@inner
def seed(width, gram, q):
    """Set one multiplier for each group of a block so that Q < diag(q^2), and rescale Q (upper triangle) by it.

    A form of m groups lies below m times its diagonal blocks, and each of these below its norm.
    """
    norms, top = np.zeros(3), 0.0
    for number, (begin, stop) in enumerate(groups(width, q.size)):
        part = np.empty((stop - begin, stop - begin))
        for i in range(part.shape[0]):
            for j in range(i, part.shape[0]):
                part[i, j] = gram[begin + i, begin + j]
                part[j, i] = part[i, j]
        if part.shape[0]:
            norms[number] = lanczos_top(part, part.shape[0])
        top = max(top, norms[number])
    for number, (begin, stop) in enumerate(groups(width, q.size)):
        for i in range(begin, stop):
            q[i] = np.sqrt(4.0 * max(norms[number], 1e-8 * top))
    for i in range(q.size):
        for j in range(i, q.size):
            gram[i, j] = gram[i, j] / q[i] / q[j]


@inner
def weigh(x, values, doublings):
    """Scale the columns of x by the roots of (value / largest)^(2^doublings), normalised: a smooth largest eigenvalue."""
    weights, total, top = np.empty(values.size), 0.0, 0.0
    for c in range(values.size):
        top = max(top, values[c])
    for c in range(values.size):
        weight = max(values[c], 0.0) / top
        for _ in range(doublings):
            weight *= weight
        weights[c] = weight
        total += weight
    for c in range(values.size):
        root = np.sqrt(weights[c] / total)
        for i in range(x.shape[0]):
            x[i, c] *= root


@inner
def move_together(plan, widths, q, slope, square):
    """Scale the multipliers of all h, and of all e, of a layer by one factor that makes their mean constraint tight."""
    starts = plan[2]
    for layer in range(1, starts.size - 1):
        for begin, stop in groups(widths[layer], starts[layer + 1] - starts[layer]):
            squares, products = 0.0, 0.0
            for i in range(starts[layer] + begin, starts[layer] + stop):
                squares += square[i]
                products += slope[i] + square[i]
            ratio = min(max(squares / max(products, 1e-3 * squares + 1e-300), 0.2), 5.0)
            for i in range(starts[layer] + begin, starts[layer] + stop):
                q[i] *= np.sqrt(np.sqrt(ratio))


@inner
def move_each(q, slope, mean, spread, rate, done):
    """Move log q of every neuron against its slope, by Adam's rule (without exponentials, for the same bits anywhere)."""
    keep, keep_spread = 0.6, 0.9
    left, left_spread = 1.0, 1.0
    for _ in range(done):
        left *= keep
        left_spread *= keep_spread
    for i in range(q.size):
        mean[i] = keep * mean[i] + (1.0 - keep) * slope[i]
        spread[i] = keep_spread * spread[i] + (1.0 - keep_spread) * slope[i] * slope[i]
        size = np.sqrt(spread[i] / (1.0 - left_spread))
        move = 0.25 * rate * (mean[i] / (1.0 - left)) / (size + 1e-12)
        q[i] *= (1.0 - move) / (1.0 + move)
