"""Every group of instructions on edge cases and random values, against Python's integers and fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.ptx.machine import Machine
from tests.ptx.syntax import DTYPES

N = 256
LETTER = {"pred": "p", "b16": "h", "b32": "r", "b64": "l", "f32": "f", "f64": "d"}
REGISTER = {2: "b16", 4: "b32", 8: "b64"}


def evaluate(instruction, kinds, *inputs):
    """Run one instruction on every row of the inputs; ``instruction`` has {0} for its result, {1} ... for operands.

    ``kinds``: PTX types of the result and of the operands.
    """
    registers = {k: f".reg .{k} %{LETTER[k]}<9>;" for k in LETTER}
    names = [f"%{LETTER[_register(kind)]}{i + 1}" for i, kind in enumerate(kinds)]
    arrays = [np.zeros(inputs[0].size, DTYPES[kinds[0]]), *inputs]
    loads = "".join(
        f"ld.param.u64 %l0, [a{7 * i + 4}]; mad.wide.u32 %l0, %r0, {a.itemsize}, %l0; "
        + (f"ld.global.{kinds[i]} {names[i]}, [%l0];\n" if i else "mov.u64 %l8, %l0;\n")
        for i, a in enumerate(arrays)
    )
    body = f"""mov.u32 %r0, %tid.x; mov.u32 %r8, %ctaid.x; mad.lo.s32 %r0, %r8, 128, %r0;
        {loads} {instruction.format(*names)} st.global.{kinds[0]} [%l8], {names[0]}; ret;"""
    params = ", ".join(f".param .u64 a{i}" for i in range(7 * len(arrays)))
    head = ".version 9.0\n.target sm_90\n.address_size 64\n"
    text = f"{head}.visible .entry k({params})\n{{ {' '.join(registers.values())} {body} }}"
    assert inputs[0].size % 128 == 0
    Machine(text).launch(None, inputs[0].size // 128, 128, arrays)
    return arrays[0]


def _register(kind):
    return kind if kind in LETTER else REGISTER[DTYPES[kind].itemsize]


def integers(kind, seed=0):
    """Return edge cases and random values of all sizes."""
    dtype, rng = DTYPES[kind], np.random.default_rng(seed)
    bits = 8 * dtype.itemsize
    edges = [0, 1, 2, (1 << bits) - 1, 1 << (bits - 1), (1 << (bits - 1)) - 1, (1 << (bits - 1)) + 1, 3 << (bits // 2)]
    values = [int(v) >> int(s) for v, s in zip(rng.integers(0, 1 << 64, N, np.uint64), rng.integers(0, 64, N), strict=True)]
    values[: 2 * len(edges)] = edges + edges[::-1]
    mixed = rng.permutation(np.array([v & ((1 << bits) - 1) for v in values], np.uint64))
    return mixed.astype(f"u{dtype.itemsize}").view(dtype)


def floats(kind, seed=0):
    """Return specials, subnormals, neighbours and random values of all sizes."""
    dtype, rng = DTYPES[kind], np.random.default_rng(seed)
    info = np.finfo(dtype)
    edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.inf,
        -np.inf,
        np.nan,
        info.max,
        info.min,
        info.tiny,
        info.tiny / 4,
        1 + float(info.eps),
        0.5,
        -2.5,
    ]
    spread = info.maxexp // 3
    values = rng.standard_normal(N) * np.exp2(rng.integers(-spread, spread, N))
    values[::3] = rng.standard_normal(len(values[::3]))
    values[1 : 1 + len(edges)] = edges
    return rng.permutation(values.astype(dtype))


def wrap(value, kind):
    """Return an integer in the range of ``kind``."""
    bits = int(kind[1:])
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value


def check_integers(instruction, kinds, function, *, inputs=None):
    """Compare with ``function`` on Python integers."""
    inputs = inputs or [integers(kind, i) for i, kind in enumerate(kinds[1:])]
    found = evaluate(instruction, kinds, *inputs).tolist()
    expected = [wrap(function(*row), kinds[0]) for row in zip(*(a.tolist() for a in inputs), strict=True)]
    assert found == expected


ARITHMETIC = {
    "add": lambda x, y, bits: x + y,
    "sub": lambda x, y, bits: x - y,
    "mul.lo": lambda x, y, bits: x * y,
    "mul.hi": lambda x, y, bits: x * y >> bits,
    "min": lambda x, y, bits: min(x, y),
    "max": lambda x, y, bits: max(x, y),
    "div": lambda x, y, bits: int(Fraction(x, y)),
    "rem": lambda x, y, bits: x - y * int(Fraction(x, y)),
}


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_integer_arithmetic(name, kind):
    x, y = integers(kind, 1), integers(kind, 2)
    if name in ("div", "rem"):
        y[y == 0] = 3
    function = ARITHMETIC[name]
    check_integers(
        f"{name}.{kind} {{0}}, {{1}}, {{2}};", (kind,) * 3, lambda a, b: function(a, b, int(kind[1:])), inputs=[x, y]
    )


@pytest.mark.parametrize(("kind", "double"), [("s16", "s32"), ("u16", "u32"), ("s32", "s64"), ("u32", "u64")])
def test_wide_products(kind, double):
    check_integers(f"mul.wide.{kind} {{0}}, {{1}}, {{2}};", (double, kind, kind), lambda x, y: x * y)
    check_integers(f"mad.wide.{kind} {{0}}, {{1}}, {{2}}, {{3}};", (double, kind, kind, double), lambda x, y, z: x * y + z)


@pytest.mark.parametrize("kind", ["s32", "u32", "s64", "u64"])
def test_multiply_add(kind):
    bits = int(kind[1:])
    check_integers(f"mad.lo.{kind} {{0}}, {{1}}, {{2}}, {{3}};", (kind,) * 4, lambda x, y, z: x * y + z)
    check_integers(f"mad.hi.{kind} {{0}}, {{1}}, {{2}}, {{3}};", (kind,) * 4, lambda x, y, z: (x * y >> bits) + z)


@pytest.mark.parametrize("kind", ["u32", "u64"])
def test_carries_make_long_arithmetic(kind):
    bits = int(kind[1:])
    add = f"add.cc.{kind} {{0}}, {{1}}, {{2}}; addc.cc.{kind} {{0}}, {{3}}, {{4}}; addc.{kind} {{0}}, {{3}}, 0;"
    check_integers(add, (kind,) * 5, lambda a, b, c, d: c + ((a + (c << bits) + b + (d << bits)) >> 2 * bits))
    subtract = f"sub.cc.{kind} {{0}}, {{1}}, {{2}}; subc.cc.{kind} {{0}}, {{3}}, {{4}}; subc.{kind} {{0}}, {{3}}, 0;"
    check_integers(subtract, (kind,) * 5, lambda a, b, c, d: c + (((a - b) + ((c - d) << bits)) >> 2 * bits))
    product = f"mad.lo.cc.{kind} {{0}}, {{1}}, {{2}}, {{3}}; madc.hi.{kind} {{0}}, {{1}}, {{2}}, {{4}};"
    check_integers(product, (kind,) * 5, lambda a, b, c, d: (a * b + c >> bits) + d)


@pytest.mark.parametrize("kind", ["b32", "b64"])
def test_logic(kind):
    for name, function in {"and": int.__and__, "or": int.__or__, "xor": int.__xor__}.items():
        check_integers(f"{name}.{kind} {{0}}, {{1}}, {{2}};", (kind,) * 3, function)
    check_integers(f"not.{kind} {{0}}, {{1}};", (kind,) * 2, lambda x: ~x)


def test_logic_of_three():
    def by_table(a, b, c):
        return sum((0xE2 >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | c >> i & 1) & 1) << i for i in range(32))

    check_integers("lop3.b32 {0}, {1}, {2}, {3}, 0xE2;", ("b32",) * 4, by_table)


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32", "s64", "u64"])
def test_shifts(kind):
    bits = int(kind[1:])
    n = np.tile(np.array([0, 1, bits - 1, bits, bits + 1, 7, 31, 1 << 31], np.uint32), N // 8)
    check_integers(
        f"shl.b{bits} {{0}}, {{1}}, {{2}};", (kind, kind, "u32"), lambda x, s: x << min(s, bits), inputs=[integers(kind), n]
    )
    check_integers(
        f"shr.{kind} {{0}}, {{1}}, {{2}};", (kind, kind, "u32"), lambda x, s: x >> min(s, bits), inputs=[integers(kind), n]
    )


@pytest.mark.parametrize("mode", ["wrap", "clamp"])
def test_funnel_shifts(mode):
    n = np.resize(np.array([0, 1, 5, 31, 32, 33, 70], np.uint32), N)
    inputs = [integers("u32", 1), integers("u32", 2), n]

    def size(s):
        return s & 31 if mode == "wrap" else min(s, 32)

    for side, function in {
        "l": lambda a, b, s: ((b << 32 | a) << size(s)) >> 32,
        "r": lambda a, b, s: (b << 32 | a) >> size(s),
    }.items():
        check_integers(f"shf.{side}.{mode}.b32 {{0}}, {{1}}, {{2}}, {{3}};", ("u32",) * 4, function, inputs=inputs)


@pytest.mark.parametrize("kind", ["s32", "u32", "s64", "u64"])
def test_bit_fields(kind):
    bits = int(kind[1:])
    rng = np.random.default_rng(3)
    at, n = (rng.choice(np.array([0, 1, 7, 31, 32, 40, 63, 64, 200], np.uint32), N) for _ in range(2))

    def extracted(x, p, length):
        x &= (1 << bits) - 1
        if length == 0:
            return 0
        sign = x >> min(p + length - 1, bits - 1) & 1 if kind[0] == "s" else 0
        return sum((x >> p + i & 1 if p + i < bits and i < length else sign) << i for i in range(bits))

    check_integers(
        f"bfe.{kind} {{0}}, {{1}}, {{2}}, {{3}};", (kind, kind, "u32", "u32"), extracted, inputs=[integers(kind), at, n]
    )

    def inserted(a, b, p, length):
        for i in range(min(length, max(bits - p, 0))):
            b = b & ~(1 << p + i) | (a >> i & 1) << p + i
        return b

    inputs = [integers(f"b{bits}", 1), integers(f"b{bits}", 2), at, n]
    kinds = (f"b{bits}", f"b{bits}", f"b{bits}", "u32", "u32")
    check_integers(f"bfi.b{bits} {{0}}, {{1}}, {{2}}, {{3}}, {{4}};", kinds, inserted, inputs=inputs)


@pytest.mark.parametrize("bits", [32, 64])
def test_bit_counts(bits):
    kind = f"b{bits}"
    check_integers(f"popc.{kind} {{0}}, {{1}};", ("u32", kind), int.bit_count)
    check_integers(f"clz.{kind} {{0}}, {{1}};", ("u32", kind), lambda x: bits - x.bit_length())
    check_integers(f"brev.{kind} {{0}}, {{1}};", (kind, kind), lambda x: int(f"{x:0{bits}b}"[::-1], 2))
    for sign in "su":
        own = f"{sign}{bits}"
        check_integers(f"bfind.{own} {{0}}, {{1}};", ("u32", own), lambda x: (x if x >= 0 else ~x).bit_length() - 1)
        check_integers(
            f"bfind.shiftamt.{own} {{0}}, {{1}};",
            ("u32", own),
            lambda x: bits - (x if x >= 0 else ~x).bit_length() if x not in (0, -1) else -1,
        )


def test_permute_bytes():
    def permuted(a, b, selector):
        data = [*a.to_bytes(4, "little"), *b.to_bytes(4, "little")]
        found = [(data[s & 7], s & 8) for s in (selector >> 4 * i & 15 for i in range(4))]
        return int.from_bytes([255 * (byte >> 7) if sign else byte for byte, sign in found], "little")

    check_integers("prmt.b32 {0}, {1}, {2}, {3};", ("b32",) * 4, permuted)


INTEGER_COMPARISONS = {"eq": "__eq__", "ne": "__ne__", "lt": "__lt__", "le": "__le__", "gt": "__gt__", "ge": "__ge__"}


@pytest.mark.parametrize("kind", ["s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("name", INTEGER_COMPARISONS)
def test_integer_comparisons_and_selections(name, kind):
    x, y = integers(kind, 1), integers(kind, 2)
    y[::4] = x[::4]
    compare = getattr(int, INTEGER_COMPARISONS[name])
    select = f"setp.{name}.{kind} %p1, {{1}}, {{2}}; selp.{kind} {{0}}, {{1}}, {{2}}, %p1;"
    check_integers(select, (kind,) * 3, lambda a, b: a if compare(a, b) else b, inputs=[x, y])
    both = f"setp.gt.{kind} %p2, {{1}}, 5; setp.{name}.and.{kind} %p1, {{1}}, {{2}}, %p2; selp.{kind} {{0}}, 1, 0, %p1;"
    check_integers(both, (kind,) * 3, lambda a, b: int(compare(a, b) and a > 5), inputs=[x, y])


def test_guards_and_predicate_logic():
    text = """setp.lt.u32 %p1, {1}, 100; setp.gt.u32 %p2, {2}, 100; and.pred %p3, %p1, %p2;
        xor.pred %p4, %p1, %p2; not.pred %p5, %p4; mov.u32 {0}, 0;
        @%p3 add.u32 {0}, {0}, 1; @!%p3 add.u32 {0}, {0}, 2; @%p5 add.u32 {0}, {0}, 4;"""

    def expected(x, y):
        p, q = x < 100, y > 100
        return (1 if p and q else 2) + (4 if p == q else 0)

    check_integers(text, ("u32",) * 3, expected)


def test_words_are_split_and_joined():
    check_integers("mov.b64 {{%r3, %r4}}, {1}; mov.b64 {0}, {{%r4, %r3}};", ("b64", "b64"), lambda x: x >> 32 | x << 32)
    check_integers("mov.b32 {{%h3, %h4}}, {1}; mov.b32 {0}, {{%h4, %h3}};", ("b32", "b32"), lambda x: x >> 16 | x << 16)


@pytest.mark.parametrize(
    ("origin", "result"), [("s32", "s64"), ("s64", "s32"), ("u32", "u64"), ("u64", "u16"), ("s16", "u64"), ("u32", "s16")]
)
def test_integer_conversions(origin, result):
    check_integers(f"cvt.{result}.{origin} {{0}}, {{1}};", (result, origin), lambda x: x)
    low, high = np.iinfo(DTYPES[result]).min, np.iinfo(DTYPES[result]).max
    check_integers(f"cvt.sat.{result}.{origin} {{0}}, {{1}};", (result, origin), lambda x: min(max(x, int(low)), int(high)))


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
