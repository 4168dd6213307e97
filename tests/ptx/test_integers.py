"""Every group of integer instructions on edge cases and random values, against Python's integers."""

from fractions import Fraction

import numpy as np
import pytest

from tests.ptx.instruction import N, evaluate, integers, wrap
from tests.ptx.syntax import DTYPES


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
