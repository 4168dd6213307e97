"""IEEE 754 arithmetic of PTX, correctly rounded, on whole vectors of lanes. NaN payloads are not modelled.

The fused multiply-add of float64 is that of Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved
algorithms using rounding to odd" (2008); outside its range rational arithmetic answers. float32 results are rounded from
float64 values that were rounded to odd, which is exact in every rounding mode because 53 >= 24 + 2.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
SPLITTER = 2.0**27 + 1
SAFE_LOW, SAFE_HIGH = 2.0**-900, 2.0**990
MODES = ("rn", "rz", "rm", "rp")


def flush(x: Values) -> Values:
    """Return x with subnormal numbers replaced by zeros of their sign."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def saturate(x: Values) -> Values:
    """Return x clamped to [0, 1]; NaN becomes 0."""
    return np.where(x > 0, np.minimum(x, x.dtype.type(1)), x.dtype.type(0))


def exact_sum(x: Values, y: Values) -> tuple[Values, Values]:
    """Return the rounded sum and its error (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def exact_product(x: Values, y: Values) -> tuple[Values, Values]:
    """Return the rounded product and its error (Dekker)."""
    product = x * y
    xc, yc = SPLITTER * x, SPLITTER * y
    xh, yh = xc - (xc - x), yc - (yc - y)
    xl, yl = x - xh, y - yh
    return product, xl * yl - (((product - xh * yh) - xl * yh) - xh * yl)


def odd_sum(x: Values, y: Values) -> Values:
    """Return x + y in float64, rounded to odd: an inexact sum gets an odd last bit."""
    total, error = (np.atleast_1d(v) for v in exact_sum(x, y))
    bits = total.view(np.int64)
    away = np.where((error > 0) == (total > 0), 1, -1)
    inexact = (error != 0) & np.isfinite(total) & (bits & 1 == 0)
    return np.where(inexact, bits + away, bits).view(np.float64)


def to_float32(x: Values, mode: str) -> Values:
    """Round float64 values to float32."""
    near = x.astype(np.float32)
    if mode == "rn":
        return near
    wrong = {"rz": np.abs(near) > np.abs(x), "rm": near > x, "rp": near < x}[mode]
    goal = np.float32(-np.inf) if mode == "rm" else np.float32(np.inf) if mode == "rp" else np.float32(0)
    return np.where(wrong, np.nextafter(near, goal), near)


def _signed_zero(total: Values, x: Values, y: Values, mode: str) -> Values:
    """A sum that is exactly zero is -0 when rounding down, unless both terms are +0."""
    if mode != "rm":
        return total
    return np.where((total == 0) & (np.signbit(x) | np.signbit(y)), -0.0, total)


def add(x: Values, y: Values, mode: str = "rn") -> Values:
    if mode == "rn":
        return x + y
    a, b = x.astype(np.float64), y.astype(np.float64)
    return to_float32(_signed_zero(odd_sum(a, b), a, b, mode), mode)


def multiply(x: Values, y: Values, mode: str = "rn") -> Values:
    return x * y if mode == "rn" else to_float32(x.astype(np.float64) * y.astype(np.float64), mode)


def fma(x: Values, y: Values, z: Values, mode: str = "rn") -> Values:
    """Return x * y + z, rounded once."""
    if x.dtype == np.float64:
        return _fma64(x, y, z)
    product, summand = x.astype(np.float64) * y.astype(np.float64), z.astype(np.float64)
    return to_float32(_signed_zero(odd_sum(product, summand), product, summand, mode), mode)


def _fma64(x: Values, y: Values, z: Values) -> Values:
    x, y, z = np.broadcast_arrays(np.atleast_1d(x), np.atleast_1d(y), np.atleast_1d(z))
    product, low = exact_product(x, y)
    top, rest = exact_sum(z, low)
    high, error = exact_sum(product, top)
    result = high + odd_sum(rest, error)
    size = np.abs(product)
    inside = (
        (size >= SAFE_LOW)
        & (size <= SAFE_HIGH)
        & (np.abs(x) <= SAFE_HIGH)
        & (np.abs(y) <= SAFE_HIGH)
        & (np.abs(z) <= SAFE_HIGH)
    )
    if inside.all():
        return result
    result = np.where(inside, result, x * y + z)
    finite = np.isfinite(x) & np.isfinite(y) & np.isfinite(z) & (x != 0) & (y != 0)
    for i in np.flatnonzero(finite & ~inside):
        result[i] = _rounded(Fraction(float(x[i])) * Fraction(float(y[i])) + Fraction(float(z[i])), result[i])
    return result


def _rounded(exact: Fraction, plain: float) -> float:
    if exact == 0:
        return plain
    try:
        return float(exact)
    except OverflowError:
        return np.inf if exact > 0 else -np.inf


def smaller(x: Values, y: Values) -> Values:
    """Return the minimum; the number if the other is NaN; -0 below +0."""
    bits = f"u{x.dtype.itemsize}"
    same = (np.atleast_1d(x).view(bits) | np.atleast_1d(y).view(bits)).view(x.dtype)
    return np.where(x == y, same, np.fmin(x, y))


def larger(x: Values, y: Values) -> Values:
    """Return the maximum; the number if the other is NaN; -0 below +0."""
    bits = f"u{x.dtype.itemsize}"
    same = (np.atleast_1d(x).view(bits) & np.atleast_1d(y).view(bits)).view(x.dtype)
    return np.where(x == y, same, np.fmax(x, y))


ROUND = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def to_integer(x: Values, dtype: np.dtype[Any], mode: str) -> Values:
    """Return float values as integers, clamped to the type; NaN as PTX defines it."""
    limits = np.iinfo(dtype)
    whole = ROUND[mode](x.astype(np.float64))
    low, high = whole < float(limits.min), whole >= float(limits.max) + (1.0 if limits.bits < 64 else 0.0)
    inside = ~(low | high | np.isnan(whole))
    result = np.where(inside, whole, 0.0).astype(dtype)
    result = np.where(low, dtype.type(limits.min), np.where(high, dtype.type(limits.max), result))
    indefinite = 1 << (limits.bits - 1) if x.dtype.itemsize == 8 or limits.bits == 64 else 0
    return np.where(np.isnan(whole), np.array(indefinite, f"u{dtype.itemsize}").view(dtype), result)


APPROXIMATE = {
    "rcp": lambda x: 1 / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "ex2": np.exp2,
    "lg2": np.log2,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
}


def approximate(name: str, x: Values) -> Values:
    """Return the correctly rounded value of an operation that the device only approximates.

    Documented errors of the device (PTX ISA): rcp 1 ulp, sqrt and rsqrt about 2^-22.4 relative, ex2 2 ulp and 2^-22.5
    relative, lg2 2^-22.6 absolute or relative, sin and cos 2^-20.5 absolute on [-pi, pi], tanh 2^-11 relative.
    """
    result = APPROXIMATE[name](x.astype(np.float64))
    if x.dtype == np.float64:
        return (np.atleast_1d(result).view(np.uint64) & np.uint64(0xFFFFFFFF00000000)).view(np.float64)
    return result.astype(np.float32)
