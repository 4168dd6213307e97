"""Scalars of the CUDA kernels: Philox, weight laws and activations, in float32 without a float64 operation and in float64.

The float64 ones are those of the model. The float32 ones are written with float32 constants; their relative errors are
below 1e-6 (tested), which is what the passes allow for. Nothing here uses an approximate instruction, so that every
GPU gives the same bits.
"""

import math

import numpy as np
from numba import types
from numba.extending import intrinsic

from simprune.backends.compile_cuda import device_function
from simprune.backends.elementwise import IDENTITY, LEAKY, RELU, SIGMOID, TANH
from simprune.backends.sampling import GAUSSIAN, LAPLACE, STEP31, STEP53, UNIFORM
from simprune.model import scalars
from simprune.model.activations import LeakyReLU, ReLU, Tanh
from simprune.model.distributions import Gaussian, Laplace
from simprune.rng import MULTIPLIERS, WEYL

f = np.float32
M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
W0, W1 = np.uint32(WEYL[0]), np.uint32(WEYL[1])
HALF = np.uint64(32)
MAGNITUDE = np.uint32(0x7FFFFFFF)
TOP31 = np.uint32(0x7FFFFFFF)
TOP53 = np.uint64((1 << 53) - 1)
SIGN = np.uint32(31)
LOW_SHIFT, LOW_DROP = np.uint64(22), np.uint32(10)


def _philox4(counter, stream, trial, k0, k1):
    """Return the four words of Philox4x32-10 at (counter, stream, trial) for the key (k0, k1)."""
    a0, a1 = np.uint32(counter), np.uint32(stream)
    a2, a3 = np.uint32(trial), np.uint32(np.uint64(trial) >> HALF)
    q0, q1 = np.uint32(k0), np.uint32(k1)
    for _ in range(10):
        p0, p1 = np.uint64(a0) * M0, np.uint64(a2) * M1
        a0, a1 = np.uint32(np.uint32(p1 >> HALF) ^ a1 ^ q0), np.uint32(p1)
        a2, a3 = np.uint32(np.uint32(p0 >> HALF) ^ a3 ^ q1), np.uint32(p0)
        q0, q1 = np.uint32(q0 + W0), np.uint32(q1 + W1)
    return a0, a1, a2, a3


def _key53(word, low):
    """Return the 53-bit rank key of a high and a low word."""
    return np.uint64(np.uint64(word & MAGNITUDE) << LOW_SHIFT | np.uint64(np.uint32(low) >> LOW_DROP))


def _gaussian31(key):
    """Return the half-normal magnitude of a 31-bit key, relative error below 4e-7, up to the factor sqrt(2).

    Polynomials of Giles, "Approximating the erfinv function", GPU Gems 4 (single precision).
    """
    x = (f(key) + f(0.5)) * f(STEP31)
    complement = (f(np.uint32(TOP31 - key)) + f(0.5)) * f(STEP31)
    w = -math.log(complement * (f(2.0) - complement))
    if w < f(5.0):
        a = w - f(2.5)
        p = f(2.81022636e-08) * a + f(3.43273939e-07)
        p = p * a + f(-3.5233877e-06)
        p = p * a + f(-4.39150654e-06)
        p = p * a + f(0.00021858087)
        p = p * a + f(-0.00125372503)
        p = p * a + f(-0.00417768164)
        p = p * a + f(0.246640727)
        return (p * a + f(1.50140941)) * x
    b = math.sqrt(w) - f(3.0)
    r = f(-0.000200214257) * b + f(0.000100950558)
    r = r * b + f(0.00134934322)
    r = r * b + f(-0.00367342844)
    r = r * b + f(0.00573950773)
    r = r * b + f(-0.0076224613)
    r = r * b + f(0.00943887047)
    r = r * b + f(1.00167406)
    return (r * b + f(2.83297682)) * x


def _laplace31(key):
    """Return -log(1 - u) of a 31-bit key."""
    u = (f(key) + f(0.5)) * f(STEP31)
    complement = (f(np.uint32(TOP31 - key)) + f(0.5)) * f(STEP31)
    if u < f(0.5):
        return -math.log1p(-u)
    return -math.log(complement)


_gaussian_of, _laplace_of = device_function(_gaussian31), device_function(_laplace31)
_gaussian, _laplace = device_function(Gaussian.magnitude), device_function(Laplace.magnitude)


def _weight32(law, word, factor):
    """Return the float32 weight of a word; ``factor`` is ``factor_of``."""
    key = np.uint32(word & MAGNITUDE)
    if law == UNIFORM:
        size = f(key) + f(0.5)
    elif law == GAUSSIAN:
        size = _gaussian_of(key)
    elif law == LAPLACE:
        size = _laplace_of(key)
    else:
        size = f(1.0)
    size = size * factor
    return -size if np.uint32(word) >> SIGN else size


def _weight64(law, word, key, factor):
    """Return the float64 weight of a word (its sign) and a 53-bit key."""
    u = (np.float64(key) + 0.5) * STEP53
    complement = (np.float64(np.uint64(TOP53 - key)) + 0.5) * STEP53
    if law == UNIFORM:
        size = u
    elif law == GAUSSIAN:
        size = _gaussian(u, complement)
    elif law == LAPLACE:
        size = _laplace(u, complement)
    else:
        size = 1.0
    size = size * factor
    return -size if np.uint32(word) >> SIGN else size


def factor_of(law: int, scale: float, precision: str) -> float:
    """Return the last factor of a weight: the layer's scale and what the law's scalar leaves to it."""
    if precision == "float64":
        return scale
    return scale * {UNIFORM: STEP31, GAUSSIAN: math.sqrt(2.0), LAPLACE: math.sqrt(0.5)}.get(law, 1.0)


@intrinsic
def _cast(typing_context, x):
    integer = types.int32 if x == types.float32 else types.int64

    def generate(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(integer))

    return integer(x), generate


def _size_bits(x):
    """Return the bits of |x| as a signed integer; they rank like |x|."""
    return _cast(math.fabs(x))


def _exp32(x):
    """Return e**x for |x| <= 80 (Cephes expf)."""
    n = f(math.floor(f(1.44269504) * x + f(0.5)))
    r = x - n * f(0.693359375)
    r = r + n * f(2.12194440e-4)
    p = f(1.9875691500e-4) * r + f(1.3981999507e-3)
    p = p * r + f(8.3334519073e-3)
    p = p * r + f(4.1665795894e-2)
    p = p * r + f(1.6666665459e-1)
    p = p * r + f(5.0000001201e-1)
    return math.ldexp(p * r * r + r + f(1.0), np.int32(n))


_exp = device_function(_exp32)


def _tanh32(x):
    """Return tanh(x) (Cephes tanhf)."""
    a = math.fabs(x)
    if a < f(0.625):
        z = x * x
        p = f(-5.70498872745e-3) * z + f(2.06390887954e-2)
        p = p * z + f(-5.37397155531e-2)
        p = p * z + f(1.33314422036e-1)
        p = p * z + f(-3.33332819422e-1)
        return p * z * x + x
    size = f(1.0)
    if a < f(10.0):
        size = f(1.0) - f(2.0) / (_exp(a + a) + f(1.0))
    return size if x > f(0.0) else -size


_tanh = device_function(_tanh32)


def _tanh_difference32(z, dz):
    """Return tanh(z + dz) - tanh(z) = sinh(dz) / (cosh(z) cosh(z + dz)), free of cancellation."""
    moved = z + dz
    a = math.fabs(dz)
    e, g = _exp(-min(math.fabs(z), f(40.0))), _exp(-min(math.fabs(moved), f(40.0)))
    e2, g2 = f(1.0) + e * e, f(1.0) + g * g
    if a > f(16.0):
        before, after = f(2.0) / e2 - f(1.0), f(2.0) / g2 - f(1.0)
        return (after if moved > f(0.0) else -after) - (before if z > f(0.0) else -before)
    if a < f(1.0):
        s = dz * dz
        p = f(2.75573192e-6) * s + f(1.98412698e-4)
        p = p * s + f(8.33333333e-3)
        p = p * s + f(1.66666667e-1)
        sinh = p * s * dz + dz
    else:
        x = _exp(dz)
        sinh = f(0.5) * (x - f(1.0) / x)
    return sinh * (f(2.0) * e / e2) * (f(2.0) * g / g2)


def _sech32(x):
    """Return 1 / cosh(x), that of 40 for larger |x|."""
    e = _exp(-min(math.fabs(x), f(40.0)))
    return f(2.0) * e / (f(1.0) + e * e)


_sech = device_function(_sech32)
_difference = device_function(_tanh_difference32)


def _value32(code, parameter, z):
    """Return s(z) in float32."""
    if code == IDENTITY:
        return z
    if code == RELU:
        return z if z > f(0.0) else f(0.0)
    if code == LEAKY:
        return z if z > f(0.0) else parameter * z
    t = _tanh(z if code == TANH else f(0.5) * z)
    if code == TANH:
        return t
    return f(0.5) + f(0.5) * t if code == SIGMOID else f(0.5) * t


def _difference32(code, parameter, z, dz):
    """Return s(z + dz) - s(z) in float32 without cancellation."""
    if code == IDENTITY:
        return dz
    if code <= LEAKY:
        low = f(0.0) if code == RELU else parameter
        moved = z + dz
        if moved > f(0.0):
            return dz if z > f(0.0) else moved - low * z
        return low * moved - z if z > f(0.0) else low * dz
    inner = f(1.0) if code == TANH else f(0.5)
    return inner * _difference(inner * z, inner * dz)


def _slope32(code, parameter, z):
    """Return s'(z) in float32."""
    if code == IDENTITY:
        return f(1.0)
    if code <= LEAKY:
        low = f(0.0) if code == RELU else parameter
        return f(1.0) if z > f(0.0) else low
    inner = f(1.0) if code == TANH else f(0.5)
    s = inner * _sech(inner * z)
    return s * s


_relu, _leaky = device_function(ReLU.scalar), device_function(LeakyReLU.scalar)
_relu_change, _leaky_change = device_function(ReLU.difference), device_function(LeakyReLU.difference)
_tanh_value, _tanh_change = device_function(scalars.tanh), device_function(Tanh.difference)
_tanh_slope = device_function(Tanh.derivative)


def _value64(code, parameter, z):
    """Return s(z) in float64."""
    if code == IDENTITY:
        return z
    if code == RELU:
        return _relu(z, parameter)
    if code == LEAKY:
        return _leaky(z, parameter)
    t = _tanh_value(z if code == TANH else 0.5 * z)
    if code == TANH:
        return t
    return 0.5 + 0.5 * t if code == SIGMOID else 0.5 * t


def _difference64(code, parameter, z, dz):
    """Return s(z + dz) - s(z) in float64 without cancellation."""
    if code == IDENTITY:
        return dz
    if code == RELU:
        return _relu_change(z, dz, parameter)
    if code == LEAKY:
        return _leaky_change(z, dz, parameter)
    inner = 1.0 if code == TANH else 0.5
    return inner * _tanh_change(inner * z, inner * dz, parameter)


def _slope64(code, parameter, z):
    """Return s'(z) in float64."""
    if code == IDENTITY:
        return 1.0
    if code <= LEAKY:
        low = 0.0 if code == RELU else parameter
        return 1.0 if z > 0.0 else low
    inner = 1.0 if code == TANH else 0.5
    return inner * inner * _tanh_slope(inner * z, parameter)


philox4, key53 = device_function(_philox4), device_function(_key53)
weight32, weight64 = device_function(_weight32), device_function(_weight64)
size_bits = device_function(_size_bits)
value32, difference32, slope32 = device_function(_value32), device_function(_difference32), device_function(_slope32)
value64, difference64, slope64 = device_function(_value64), device_function(_difference64), device_function(_slope64)
half_normal64 = device_function(scalars.half_normal_quantile)
gaussian31 = _gaussian_of
