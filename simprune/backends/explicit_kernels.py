"""Kernels for a pair of explicit networks: activations on whole arrays, and the semidefinite bound of a filled chain."""

import numpy as np

from simprune.backends.certificates import EPSILON
from simprune.backends.chain import make_plan
from simprune.backends.compile import kernel
from simprune.backends.elementwise import activate, activate_difference, pull_back, pull_back_pair
from simprune.backends.elimination import largest
from simprune.backends.semidefinite import balance, proved, search


@kernel
def activate_all(activation, z, h):
    """h = s(z) on flat arrays."""
    code, parameter, smooth = activation
    activate(code, parameter, smooth, z, h)


@kernel
def difference_all(activation, z, dz, dh):
    """dh = s(z + dz) - s(z) on flat arrays."""
    code, parameter, smooth = activation
    activate_difference(code, parameter, smooth, z, dz, dh)


@kernel
def pull_back_all(activation, z, p):
    """p <- s'(z) p on flat arrays."""
    code, parameter, smooth = activation
    pull_back(code, parameter, smooth, z, p)


@kernel
def pull_back_pair_all(activation, z, dz, p, e):
    """p <- s'(z + dz) p and e <- s'(z) e + (s'(z + dz) - s'(z)) p on flat arrays."""
    code, parameter, smooth = activation
    pull_back_pair(code, parameter, smooth, z, dz, p, e)


@kernel
def chain_plan(widths, biased):
    """Return sizes, spots, starts and rooms of the chain (``chain.make_plan``)."""
    return make_plan(widths, biased)


@kernel
def chain_bound(widths, biased, chain, steps):
    """Return a proved bound of ||output|| / unit over unit inputs for a filled chain of at least two layers, or inf."""
    plan = make_plan(widths, biased)
    sizes, _, starts, rooms = plan
    widest, n = int(largest(sizes)), sizes[0]
    q = np.ones(starts[-1])
    room = (np.empty(rooms[-1]), np.empty(widest * max(widest, widths[-1])), np.empty(widest * widest))
    best, work = np.empty((n, n)), np.empty((n, n))
    slack = 4.0 * EPSILON * (widths[-1] + starts[-1] + sizes[0] + 8.0) ** 2
    if not search(plan, widths, chain, q, slack, steps, room, best):
        return np.inf
    constant = balance(best, n, widths[0]) if biased else 0.0
    return proved(best, n, slack, work) * np.sqrt(1.0 + constant) * (1.0 + slack)
