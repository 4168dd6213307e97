"""Kernels of ``conv_evaluation`` on states ``[n_trials, 4, n]``: value, its error bound, deviation, its error bound."""

from simprune.backends.certificates import EPSILON
from simprune.backends.compile import kernel
from simprune.backends.conv_pooling import pool_errors
from simprune.backends.elementwise import activate, activate_difference
from simprune.backends.evaluation import _activation_errors, _into_ball


@kernel
def fill_inputs(x, state):
    """Write inputs, scaled into the unit ball, as values of ``state``."""
    for t in range(x.shape[0]):
        _into_ball(x[t], state[t, 0])


@kernel
def fill_activated(activation, constants, before, after):
    """Carry states through the activation."""
    code, parameter, smooth = activation
    for t in range(before.shape[0]):
        z, dz = before[t, 0], before[t, 2]
        activate(code, parameter, smooth, z, after[t, 0])
        activate_difference(code, parameter, smooth, z, dz, after[t, 2])
        inputs = (z, before[t, 1], dz, before[t, 3])
        _activation_errors(constants, inputs, (after[t, 0], after[t, 1], after[t, 2], after[t, 3]))


@kernel
def fill_pooled(window, before, after):
    """Carry states through pooling."""
    n_in, n_out = before.shape[2], after.shape[2]
    for t in range(before.shape[0]):
        values = (before[t, 0].reshape(n_in, 1), before[t, 2].reshape(n_in, 1))
        values_out = (after[t, 0].reshape(n_out, 1), after[t, 2].reshape(n_out, 1))
        pool_errors(window, EPSILON, values, (before[t, 1], before[t, 3]), values_out, (after[t, 1], after[t, 3]))
