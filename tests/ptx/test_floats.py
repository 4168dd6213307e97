"""Every group of float instructions and conversions on edge cases and random values, against fractions and NumPy."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.ptx.instruction import N, evaluate, floats, integers, wrap
from tests.ptx.syntax import DTYPES


def same(found, expected):
    """Equal bits, except that all NaN are one."""
    nan = np.isnan(expected)
    assert (np.isnan(found) == nan).all()
    bits = f"u{found.dtype.itemsize}"
    wrong = np.flatnonzero((found.view(bits) != expected.view(bits)) & ~nan)
    assert wrong.size == 0, (wrong[:3], found[wrong[:3]], expected[wrong[:3]])


@np.errstate(all="ignore")
def rounded(exact, kind, mode):
    """Return a fraction rounded to a float type, by search among the neighbours of the nearest value."""
    dtype = DTYPES[kind].type
    info = np.finfo(dtype)
    near = dtype(np.inf if exact > 0 else -np.inf) if abs(exact) > Fraction(float(info.max)) else dtype(float(exact))
    candidates = sorted({float(np.nextafter(near, dtype(-np.inf))), float(near), float(np.nextafter(near, dtype(np.inf)))})
    finite = [c for c in candidates if math.isfinite(c)]
    below = max((c for c in finite if Fraction(c) <= exact), default=-math.inf)
    above = min((c for c in finite if Fraction(c) >= exact), default=math.inf)
    if mode == "rn":
        return dtype(_nearest(exact, below, above, info))
    toward_zero = below if exact > 0 else above
    return dtype({"rm": below, "rp": above, "rz": toward_zero}[mode])


def _nearest(exact, below, above, info):
    if below == above:
        return below
    step = Fraction(float(info.max)) - Fraction(float(np.nextafter(info.max, info.dtype.type(0))))
    low = Fraction(below) if math.isfinite(below) else Fraction(float(info.min)) - step
    high = Fraction(above) if math.isfinite(above) else Fraction(float(info.max)) + step
    if exact - low != high - exact:
        return below if exact - low < high - exact else above
    even = np.array(below, info.dtype).view(f"u{info.dtype.itemsize}") % 2 == 0
    return below if even and math.isfinite(below) else above


def check_rounding(text, kind, function, mode, n_inputs):
    """Compare with ``function`` on fractions; what involves specials is compared with NumPy where it rounds to nearest."""
    inputs = [floats(kind, i) for i in range(n_inputs)]
    found = evaluate(text, (kind,) * (n_inputs + 1), *inputs)
    seen = 0
    for result, *row in zip(found, *inputs, strict=True):
        if not all(math.isfinite(v) for v in row):
            continue
        exact = function(*(Fraction(float(v)) for v in row))
        if exact == 0:
            assert result == 0
            continue
        seen += 1
        assert result == rounded(exact, kind, mode), (row, result)
    assert seen > N // 2


@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_float32_rounds_in_every_direction(mode):
    check_rounding(f"add.{mode}.f32 {{0}}, {{1}}, {{2}};", "f32", lambda x, y: x + y, mode, 2)
    check_rounding(f"sub.{mode}.f32 {{0}}, {{1}}, {{2}};", "f32", lambda x, y: x - y, mode, 2)
    check_rounding(f"mul.{mode}.f32 {{0}}, {{1}}, {{2}};", "f32", lambda x, y: x * y, mode, 2)
    check_rounding(f"fma.{mode}.f32 {{0}}, {{1}}, {{2}}, {{3}};", "f32", lambda x, y, z: x * y + z, mode, 3)


def test_float64_fma_rounds_once():
    check_rounding("fma.rn.f64 {0}, {1}, {2}, {3};", "f64", lambda x, y, z: x * y + z, "rn", 3)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, 4096))
    z = -(x * y) * (1 + rng.integers(-3, 4, 4096) * 2.0**-52)
    found = evaluate("fma.rn.f64 {0}, {1}, {2}, {3};", ("f64",) * 4, x, y, z)
    exact = [float(Fraction(a) * Fraction(b) + Fraction(c)) for a, b, c in zip(x, y, z, strict=True)]
    assert found.tolist() == exact


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_specials_follow_ieee(kind):
    x, y = floats(kind, 1), floats(kind, 2)
    with np.errstate(all="ignore"):
        for name, function in {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div.rn": np.divide}.items():
            same(evaluate(f"{name}.{kind} {{0}}, {{1}}, {{2}};", (kind,) * 3, x, y), function(x, y))
        same(evaluate(f"sqrt.rn.{kind} {{0}}, {{1}};", (kind,) * 2, x), np.sqrt(x))
        same(evaluate(f"rcp.rn.{kind} {{0}}, {{1}};", (kind,) * 2, x), 1 / x)
        same(evaluate(f"neg.{kind} {{0}}, {{1}};", (kind,) * 2, x), -x)
        same(evaluate(f"abs.{kind} {{0}}, {{1}};", (kind,) * 2, x), np.abs(x))
        same(evaluate(f"copysign.{kind} {{0}}, {{1}}, {{2}};", (kind,) * 3, x, y), np.copysign(y, x))


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_minimum_ignores_nan_and_orders_zeros(kind):
    x = np.array([0.0, -0.0, np.nan, 1.0, np.nan, -np.inf, 2.0, 5.0] * 16, DTYPES[kind])
    y = np.array([-0.0, 0.0, 1.0, np.nan, np.nan, 3.0, 2.0, -5.0] * 16, DTYPES[kind])
    least = np.array([-0.0, -0.0, 1.0, 1.0, np.nan, -np.inf, 2.0, -5.0] * 16, DTYPES[kind])
    most = np.array([0.0, 0.0, 1.0, 1.0, np.nan, 3.0, 2.0, 5.0] * 16, DTYPES[kind])
    same(evaluate(f"min.{kind} {{0}}, {{1}}, {{2}};", (kind,) * 3, x, y), least)
    same(evaluate(f"max.{kind} {{0}}, {{1}}, {{2}};", (kind,) * 3, x, y), most)


@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_float_comparisons_with_nan(kind):
    x, y = floats(kind, 1), floats(kind, 2)
    y[::4] = x[::4]
    x[5], y[6] = np.nan, np.nan
    nan = np.isnan(x) | np.isnan(y)
    tests = {
        "eq": np.equal,
        "ne": np.not_equal,
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
    }
    for name, function in tests.items():
        for suffix, expected in (("", function(x, y) & ~nan), ("u", function(x, y) | nan)):
            text = f"setp.{name}{suffix}.{kind} %p1, {{1}}, {{2}}; selp.u32 {{0}}, 1, 0, %p1;"
            assert (evaluate(text, ("u32", kind, kind), x, y) == expected).all(), name + suffix
    for name, expected in (("nan", nan), ("num", ~nan)):
        text = f"setp.{name}.{kind} %p1, {{1}}, {{2}}; selp.u32 {{0}}, 1, 0, %p1;"
        assert (evaluate(text, ("u32", kind, kind), x, y) == expected).all()


@pytest.mark.parametrize("origin", ["f32", "f64"])
@pytest.mark.parametrize("result", ["s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("mode", ["rni", "rzi", "rmi", "rpi"])
def test_floats_to_integers_clamp(origin, result, mode):
    x = floats(origin, 1)
    x[: N // 2] = (np.random.default_rng(2).standard_normal(N // 2) * 100).round(1)
    bits = int(result[1:])
    x[10:14] = [2.0 ** (bits - 1), 2.0**bits, -(2.0 ** (bits - 1)), 0.5]
    found = evaluate(f"cvt.{mode}.{result}.{origin} {{0}}, {{1}};", (result, origin), x)
    limits = np.iinfo(DTYPES[result])
    whole = {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}[mode]
    for value, got in zip(x.tolist(), found.tolist(), strict=True):
        if math.isnan(value):
            # PTX ISA, cvt: 0, except that a f64 source or a 64-bit result gives the top bit alone.
            assert got == (wrap(1 << bits - 1, result) if origin == "f64" or bits == 64 else 0)
        elif math.isinf(value):
            assert got == (limits.max if value > 0 else limits.min)
        else:
            assert got == min(max(whole(value), int(limits.min)), int(limits.max))


@pytest.mark.parametrize("origin", ["s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("result", ["f32", "f64"])
def test_integers_to_floats_round_to_nearest(origin, result):
    x = integers(origin, 1)
    found = evaluate(f"cvt.rn.{result}.{origin} {{0}}, {{1}};", (result, origin), x)
    assert [float(v) for v in found] == [float(rounded(Fraction(v), result, "rn")) if v else 0.0 for v in x.tolist()]


def test_floats_to_floats():
    x = floats("f64", 1)
    with np.errstate(all="ignore"):
        same(evaluate("cvt.rn.f32.f64 {0}, {1};", ("f32", "f64"), x), x.astype(np.float32))
        same(evaluate("cvt.f64.f32 {0}, {1};", ("f64", "f32"), floats("f32")), floats("f32").astype(np.float64))
        for mode, function in {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}.items():
            same(evaluate(f"cvt.{mode}.f64.f64 {{0}}, {{1}};", ("f64", "f64"), x), function(x))
        same(
            evaluate("cvt.sat.f32.f32 {0}, {1};", ("f32", "f32"), floats("f32")),
            np.clip(np.nan_to_num(floats("f32")), 0, 1) + np.float32(0),
        )
    tiny = np.resize(np.array([1e-40, -1e-40, 1.5e-38, 0.0, 1e-30, -0.0, 2.0, -3.0], np.float32), N)
    flushed = np.where(np.abs(tiny) < np.finfo(np.float32).tiny, np.copysign(np.float32(0), tiny), tiny)
    same(evaluate("add.ftz.f32 {0}, {1}, {1};", ("f32", "f32"), tiny), flushed + flushed)


@pytest.mark.parametrize("mode", ["rz", "rm", "rp"])
def test_narrowing_rounds_in_every_direction(mode):
    x = floats("f64", 3)
    found = evaluate(f"cvt.{mode}.f32.f64 {{0}}, {{1}};", ("f32", "f64"), x)
    for value, got in zip(x.tolist(), found.tolist(), strict=True):
        if math.isfinite(value) and value:
            assert got == rounded(Fraction(value), "f32", mode)


APPROXIMATE = {"ex2": np.exp2, "lg2": np.log2, "rcp": lambda x: 1 / x, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x)}


@pytest.mark.parametrize("name", [*APPROXIMATE, "sin", "cos", "tanh"])
def test_approximations_are_evaluated_exactly(name):
    x = np.random.default_rng(1).uniform(0.1, 3, N).astype(np.float32)
    function = APPROXIMATE.get(name) or getattr(np, name)
    found = evaluate(f"{name}.approx.f32 {{0}}, {{1}};", ("f32", "f32"), x)
    assert (np.abs(found - function(x.astype(np.float64))) <= np.abs(np.spacing(found))).all()
