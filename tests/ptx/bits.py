"""Instructions on bits: logic, shifts, fields, counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ptx import integers
from tests.ptx.arithmetic import BITS, apply
from tests.ptx.decode import INTEGERS, Decoder, Run, builds
from tests.ptx.syntax import Immediate, immediate


@builds("and", "or", "xor")
def _logic(d: Decoder) -> Run:
    d.count(3)
    kind = d.kind("pred", *BITS)
    function = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[d.opcode]
    return apply(d, function, d.sources(kind, 1, 2), kind)


@builds("not")
def _not(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind("pred", *BITS)
    return apply(d, np.invert, d.sources(kind, 1), kind)


@builds("lop3")
def _logic3(d: Decoder) -> Run:
    d.count(5)
    kind = d.kind("b32")
    table = d.operands[4]
    if not isinstance(table, Immediate):
        raise d.unsupported("truth table")
    rows = int(immediate(table.text, "u32"))
    return apply(d, lambda a, b, c: integers.logic3(a, b, c, rows), d.sources(kind, 1, 2, 3), kind)


@builds("shl", "shr")
def _shift(d: Decoder) -> Run:
    d.count(3)
    kind = d.kind(*BITS) if d.opcode == "shl" else d.kind(*INTEGERS)
    function = integers.shift_left if d.opcode == "shl" else integers.shift_right
    return apply(d, lambda x, n: function(np.atleast_1d(x), n), [*d.sources(kind, 1), *d.sources("u32", 2)], kind)


@builds("shf")
def _funnel(d: Decoder) -> Run:
    d.count(4)
    kind = d.kind("b32")
    left = d.required("l", "r") == "l"
    wraps = d.required("wrap", "clamp") == "wrap"

    def compute(low: Any, top: Any, n: Any) -> Any:
        return integers.funnel(low, top, n & np.uint32(31) if wraps else np.minimum(n, np.uint32(32)), left)

    return apply(d, compute, d.sources(kind, 1, 2, 3), kind)


@builds("bfe")
def _extract(d: Decoder) -> Run:
    d.count(4)
    kind = d.kind("s32", "u32", "s64", "u64")
    sources = [*d.sources(kind, 1), *d.sources("u32", 2, 3)]
    return apply(d, lambda x, p, n: integers.extract(np.atleast_1d(x), p, n), sources, kind)


@builds("bfi")
def _insert(d: Decoder) -> Run:
    d.count(5)
    kind = d.kind("b32", "b64")
    sources = [*d.sources(kind, 1, 2), *d.sources("u32", 3, 4)]
    return apply(d, lambda f, x, p, n: integers.insert(np.atleast_1d(f), np.atleast_1d(x), p, n), sources, kind)


@builds("prmt")
def _permute(d: Decoder) -> Run:
    d.count(4)
    kind = d.kind("b32")
    return apply(d, lambda a, b, s: integers.permute(a, b, np.atleast_1d(s)), d.sources(kind, 1, 2, 3), kind)


@builds("popc", "clz", "brev")
def _bits(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind("b32", "b64")
    function = {"popc": integers.count_bits, "clz": integers.leading_zeros, "brev": integers.reverse_bits}[d.opcode]
    return apply(d, lambda x: function(np.atleast_1d(x)), d.sources(kind, 1), kind if d.opcode == "brev" else "u32")


@builds("bfind")
def _find(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind("s32", "u32", "s64", "u64")
    shift = bool(d.option("shiftamt"))
    return apply(d, lambda x: integers.find_leading(np.atleast_1d(x), shift), d.sources(kind, 1), "u32")
