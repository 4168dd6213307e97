"""Certified gaps from a semidefinite relaxation of the pair of networks, with one multiplier a neuron (float64).

Statement. Every neuron y of the chain (chain.py) obeys y (k z - y) >= 0 for its pre-activation z if s has slopes in
[0, k] and s(0) = 0; the same holds for the deviations, e (k dz - e) >= 0. For any multipliers T_l = q_l^2 >= 0
    ||o||^2 <= ||o||^2 + sum_l y_l^T T_l (k S_l y_(l-1) - y_l) <= rho^2 (||x||^2 + c^2)
as soon as the block tridiagonal matrix P with diagonal blocks (I, I, ..., I, rho^2 I) and off-diagonal blocks
O q_(L-1)^-1 and q_l (k S_l / 2) q_(l-1)^-1 is positive semidefinite; then gap <= s rho sqrt(1 + c^2). P is proved so by
its Cholesky factorisation from the output to the input, which leaves rho^2 I - Q_0 on the inputs. With N rows, unit
roundoff u, entries with relative errors 3 u and trace(P) <= 4 N after scaling the inputs, all errors together (Rump,
"Verification of positive definiteness", BIT 46, 2006) are below ``slack`` = 8 (N + 8)^2 u, by which every diagonal
entry but the output's is lowered; that of the output is raised by it instead, a factor sqrt(1 + slack) of the result.
The search for good multipliers (``steps`` and a coarse search before them) needs no proof.
"""

import numpy as np

from simprune.backends.assign import copy
from simprune.backends.certificates import EPSILON, MARGIN, RAISE, cholesky_succeeds, lanczos_top
from simprune.backends.chain import CONSTANT, fill_chain, make_plan, power_of_two
from simprune.backends.compile import inner, kernel
from simprune.backends.elimination import eliminate, gram_of_columns, largest, solve_upper
from simprune.backends.multipliers import move_each, move_together, seed, weigh
from simprune.backends.products import multiply
from simprune.backends.subspace import COLUMNS, improve, random_columns

RATE = 0.2
FIRST_POWER, DOUBLINGS = 3, 5


@inner
def _factor(plan, factors, layer):
    sizes, _, _, rooms = plan
    return factors[rooms[layer - 1] : rooms[layer]].reshape(sizes[layer], sizes[layer] + sizes[layer - 1])


@inner
def _output_gram(plan, chain, q, scratch, gram):
    sizes, spots, starts, _ = plan
    last = sizes.size - 1
    output = chain[spots[last] : spots[last + 1]].reshape(-1, sizes[last])
    scaled = np.empty_like(output)
    for i in range(output.shape[0]):
        for j in range(output.shape[1]):
            scaled[i, j] = output[i, j] * (1.0 / q[starts[last] + j])
    turned = scratch[: scaled.size].reshape(scaled.shape[1], scaled.shape[0])
    gram_of_columns(scaled, turned, gram)


@inner
def _fill_factor(plan, chain, q, slack, layer, gram, u):
    sizes, spots, starts, _ = plan
    n, m = sizes[layer], sizes[layer - 1]
    matrix = chain[spots[layer - 1] : spots[layer]].reshape(n, m)
    inverse = np.ones(m)
    if layer > 1:
        for j in range(m):
            inverse[j] = 1.0 / q[starts[layer - 1] + j]
    for i in range(n):
        row, factor = u[i], q[starts[layer] + i]
        for j in range(i, n):
            row[j] = -gram[i, j]
        row[i] = (1.0 - gram[i, i]) - slack
        for j in range(m):
            row[n + j] = factor * matrix[i, j] * inverse[j]


@inner
def eliminate_all(plan, chain, q, slack, rooms, widths, fresh):
    """Factor P for the multipliers q^2 down to the inputs; g receives Q_0 (all of it); return whether P allows it.

    ``fresh`` multipliers are chosen here, layer by layer; q must be 1 then.
    """
    sizes, starts, last = plan[0], plan[2], plan[0].size - 1
    factors, scratch, g = rooms
    gram = g[: sizes[last] ** 2].reshape(sizes[last], sizes[last])
    _output_gram(plan, chain, q, scratch, gram)
    for layer in range(last, 0, -1):
        n, m = sizes[layer], sizes[layer - 1]
        u = _factor(plan, factors, layer)
        if fresh:
            seed(widths[layer], gram, q[starts[layer] : starts[layer + 1]])
        _fill_factor(plan, chain, q, slack, layer, gram, u)
        if not eliminate(u, scratch[: n * n].reshape(n, n)):
            return False
        gram = g[: m * m].reshape(m, m)
        gram_of_columns(u[:, n:], scratch[: m * n].reshape(m, n), gram)
    for i in range(sizes[0]):
        for j in range(i):
            gram[i, j] = gram[j, i]
    return True


@inner
def slopes(plan, chain, q, factors, x, slope, square):
    """Run the maximisers of the columns of x; fill E y (k z - y) and E y^2 of every neuron (both times its multiplier)."""
    sizes, spots, starts, _ = plan
    before = x.copy()
    scaled = x.copy()
    for layer in range(1, sizes.size):
        n, m = sizes[layer], sizes[layer - 1]
        u = _factor(plan, factors, layer)
        y, z = np.empty((n, x.shape[1])), np.empty((n, x.shape[1]))
        multiply(u[:, n:], scaled, y)
        solve_upper(u, y)
        multiply(chain[spots[layer - 1] : spots[layer]].reshape(n, m), before, z)
        scaled, before = y, np.empty((n, x.shape[1]))
        for i in range(n):
            own = q[starts[layer] + i]
            products, squares = 0.0, 0.0
            for c in range(x.shape[1]):
                products += y[i, c] * (2.0 * own * z[i, c])
                squares += y[i, c] * y[i, c]
                before[i, c] = y[i, c] / own
            slope[starts[layer] + i] = products - squares
            square[starts[layer] + i] = squares


@inner
def search(plan, widths, chain, q, slack, steps, rooms, best):
    """Improve q; ``best`` receives the Q_0 of the best multipliers; return whether there is one."""
    n = plan[0][0]
    factors, _, g = rooms
    first_steps = 2 * plan[0].size
    x, values = np.empty((n, COLUMNS)), np.empty(COLUMNS)
    slope, square = np.zeros(q.size), np.zeros(q.size)
    mean, spread, best_q = np.zeros(q.size), np.zeros(q.size), q.copy()
    lowest, rate, moved = np.inf, RATE, 0
    random_columns(x)
    for step in range(first_steps + steps + 1):
        if step == first_steps:
            copy(best_q, q)
        if not eliminate_all(plan, chain, q, slack, rooms, widths, step == 0):
            if lowest == np.inf:
                return False
            rate *= 0.7
            for i in range(q.size):
                q[i] = np.sqrt(q[i] * best_q[i])
            continue
        q0 = g[: n * n].reshape(n, n)
        improve(q0, x, 6 if step == 0 else 2, values)
        if largest(values) < lowest:
            lowest = largest(values)
            copy(q, best_q)
            copy(q0, best)
        if step == first_steps + steps or not lowest > 0.0:
            break
        share = max(step - first_steps, 0) / max(steps, 1)
        weighted = x.copy()
        weigh(weighted, values, FIRST_POWER + int(DOUBLINGS * share))
        slopes(plan, chain, q, factors, weighted, slope, square)
        if step < first_steps:
            move_together(plan, widths, q, slope, square)
        else:
            moved += 1
            move_each(q, slope, mean, spread, rate * (1.0 - 0.9 * share), moved)
    return True


@inner
def balance(q0, n, constant):
    """Choose the scale c of the constant input for a small bound and rescale Q_0 to it; return c^2."""
    best, chosen = np.inf, 1.0
    for power in range(-4, 3):
        factor = 2.0**-power
        _rescale(q0, n, constant, factor)
        bound = lanczos_top(q0, n) * (1.0 + (CONSTANT / factor) ** 2)
        _rescale(q0, n, constant, 1.0 / factor)
        if bound < best:
            best, chosen = bound, factor
    _rescale(q0, n, constant, chosen)
    return (CONSTANT / chosen) ** 2


@inner
def _rescale(q0, n, index, factor):
    for i in range(n):
        q0[i, index] *= factor
    for i in range(n):
        q0[index, i] *= factor


@inner
def proved(q0, n, slack, work):
    """Return an upper bound of sup x^T Q_0 x / ||x||^2, square root taken."""
    upper = np.sqrt(max(lanczos_top(q0, n), 1e-280)) * MARGIN
    for _ in range(300):
        square = upper * upper
        for i in range(n):
            for j in range(i, n):
                work[i, j] = -q0[i, j]
            work[i, i] = (square - q0[i, i]) - 4.0 * slack * square
        if cholesky_succeeds(work, n):
            return upper
        upper *= RAISE
    return np.inf


@kernel
def semidefinite_gaps(shape, weights, bias, entries, norms, wanted, slope, steps, gaps):
    """Fill certified ``gaps`` ``[n_trials]`` of the ``wanted`` trials where one is proved; at least two layers, s(0) = 0.

    ``norms`` ``[3, n_trials, depth]``: target, pruned, delta; ``slope`` a power of two not below the Lipschitz constant.
    """
    widths = shape[0]
    biased = 1 if bias.size else 0
    plan = make_plan(widths, biased)
    sizes, spots, starts, rooms = plan
    widest, n = int(largest(sizes)), sizes[0]
    chain, q = np.empty(spots[-1]), np.empty(starts[-1])
    room = (np.empty(rooms[-1]), np.empty(widest * max(widest, widths[-1])), np.empty(widest * widest))
    best, work = np.empty((n, n)), np.empty((n, n))
    slack = 4.0 * EPSILON * (widths[-1] + starts[-1] + sizes[0] + 8.0) ** 2
    for t in range(weights.shape[0]):
        own = norms[:, t]
        if not wanted[t] or not 0.0 < largest(own[2]) < np.inf:
            continue
        units = (power_of_two(largest(own[2])), slope)
        sparse = (entries[0], entries[1][t], entries[2][t], entries[3][t])
        fill_chain(shape, weights[t], bias, sparse, units, plan, chain)
        q[:] = 1.0
        if search(plan, widths, chain, q, slack, steps, room, best):
            constant = balance(best, n, widths[0]) if biased else 0.0
            gaps[t] = units[0] * proved(best, n, slack, work) * np.sqrt(1.0 + constant) * (1.0 + slack)
