"""Activations on whole arrays: value, difference without cancellation, and derivatives for the adjoint.

``smooth`` is None for piecewise linear activations: the branches of the others are then left out of the compilation,
which halves its time for the networks that most people study.
"""

from simprune.backends.compile import inner, leaf
from simprune.model.activations import ACTIVATIONS, CentredSigmoid, Identity, LeakyReLU, ReLU, Sigmoid, Tanh

CODES = {activation: code for code, activation in enumerate(ACTIVATIONS)}
IDENTITY, RELU, LEAKY = CODES[Identity], CODES[ReLU], CODES[LeakyReLU]
TANH, SIGMOID = CODES[Tanh], CODES[Sigmoid]

_tanh, _tanh_difference, _tanh_slope = leaf(Tanh.scalar), leaf(Tanh.difference), leaf(Tanh.derivative)
# Differences and slopes of the two sigmoids are the same functions: one compiled copy serves both.
_sigmoid, _centred = leaf(Sigmoid.scalar), leaf(CentredSigmoid.scalar)
_sigmoid_difference, _sigmoid_slope = leaf(Sigmoid.difference), leaf(Sigmoid.derivative)


@inner
def activate(code, parameter, smooth, z, h):
    """h = s(z), elementwise on flat arrays."""
    zero, slope = z.dtype.type(0), z.dtype.type(parameter)
    n = z.size
    if smooth is None:
        if code == IDENTITY:
            for i in range(n):
                h[i] = z[i]
        elif code == RELU:
            for i in range(n):
                h[i] = z[i] if z[i] > zero else zero
        else:
            for i in range(n):
                h[i] = z[i] if z[i] > zero else slope * z[i]
    elif code == TANH:
        for i in range(n):
            h[i] = _tanh(z[i], parameter)
    elif code == SIGMOID:
        for i in range(n):
            h[i] = _sigmoid(z[i], parameter)
    else:
        for i in range(n):
            h[i] = _centred(z[i], parameter)


@inner
def activate_difference(code, parameter, smooth, z, dz, dh):
    """dh = s(z + dz) - s(z) without cancellation, elementwise on flat arrays."""
    zero, slope = z.dtype.type(0), z.dtype.type(parameter)
    n = z.size
    if smooth is None:
        if code == IDENTITY:
            for i in range(n):
                dh[i] = dz[i]
        elif code == RELU:
            for i in range(n):
                moved = z[i] + dz[i]
                up = dz[i] if z[i] > zero else moved
                down = -z[i] if z[i] > zero else zero
                dh[i] = up if moved > zero else down
        else:
            for i in range(n):
                moved = z[i] + dz[i]
                up = dz[i] if z[i] > zero else moved - slope * z[i]
                down = slope * moved - z[i] if z[i] > zero else slope * dz[i]
                dh[i] = up if moved > zero else down
    elif code == TANH:
        for i in range(n):
            dh[i] = _tanh_difference(z[i], dz[i], parameter)
    else:
        for i in range(n):
            dh[i] = _sigmoid_difference(z[i], dz[i], parameter)


@inner
def smooth_slope(code, parameter, z):
    """Return the derivative of a smooth activation."""
    if code == TANH:
        return _tanh_slope(z, parameter)
    return _sigmoid_slope(z, parameter)


@inner
def pull_back(code, parameter, smooth, z, p):
    """p <- s'(z) p on flat arrays: the adjoint of one network's activation."""
    zero, one, slope = z.dtype.type(0), z.dtype.type(1), z.dtype.type(parameter)
    if smooth is None:
        if code == IDENTITY:
            return
        low = zero if code == RELU else slope
        for i in range(z.size):
            p[i] = p[i] * (one if z[i] > zero else low)
    else:
        for i in range(z.size):
            p[i] = p[i] * smooth_slope(code, parameter, z[i])


@inner
def pull_back_pair(code, parameter, smooth, z, dz, p, e):
    """Adjoint of the activations of both networks: p <- s'(z + dz) p and e <- s'(z) e + (s'(z + dz) - s'(z)) p."""
    zero, one, slope = z.dtype.type(0), z.dtype.type(1), z.dtype.type(parameter)
    if smooth is None:
        if code == IDENTITY:
            return
        low = zero if code == RELU else slope
        for i in range(z.size):
            at = one if z[i] > zero else low
            moved = one if z[i] + dz[i] > zero else low
            e[i] = at * e[i] + (moved - at) * p[i]
            p[i] = moved * p[i]
    else:
        for i in range(z.size):
            at, moved = smooth_slope(code, parameter, z[i]), smooth_slope(code, parameter, z[i] + dz[i])
            e[i] = at * e[i] + (moved - at) * p[i]
            p[i] = moved * p[i]
