"""Instructions that compute with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ptx import floats, integers
from tests.ptx.decode import FLOATS, Decoder, Run, Source, builds
from tests.ptx.errors import PtxError
from tests.ptx.lanes import Lanes, spread
from tests.ptx.syntax import DTYPES
from tests.ptx.wave import Wave

Function = Callable[..., Any]
SIGNS = ("s16", "u16", "s32", "u32", "s64", "u64")
BITS = ("b16", "b32", "b64")


def apply(d: Decoder, function: Function, sources: list[Source], result: str) -> Run:
    """Return the run that writes ``function`` of the sources to the first operand, as values of type ``result``."""
    target = d.write(d.operands[0], result)
    if len(sources) == 1:
        (a,) = sources
        return lambda w, m: target(w, m, function(a(w, m)))
    if len(sources) == 2:
        a, b = sources
        return lambda w, m: target(w, m, function(a(w, m), b(w, m)))
    return lambda w, m: target(w, m, function(*[s(w, m) for s in sources]))


def _rounded(d: Decoder, function: Function, arity: int, flops: int) -> Run:
    """Build a float operation with its rounding mode, flush to zero and saturation."""
    d.count(arity + 1)
    kind = d.kind(*FLOATS)
    mode = d.option(*floats.MODES) or "rn"
    flush, saturate = d.option("ftz"), d.option("sat")
    if kind == "f64" and (mode != "rn" or flush or saturate):
        raise d.unsupported("rounding or flushing of f64")
    d.flops = (kind, flops)

    def compute(*values: Any) -> Any:
        if flush:
            values = tuple(floats.flush(v) for v in values)
        result = function(*values) if mode == "rn" else function(*values, mode=mode)
        result = floats.flush(result) if flush else result
        return floats.saturate(result) if saturate else result

    fast = function if mode == "rn" and not flush and not saturate else compute
    return apply(d, fast, d.sources(kind, *range(1, arity + 1)), kind)


@builds("add", "sub")
def _add(d: Decoder) -> Run:
    if d.words[-1] in FLOATS:
        if d.opcode == "add":
            return _rounded(d, np.add if len(d.words) == 1 else floats.add, 2, 1)
        return _rounded(d, lambda x, y, mode="rn": floats.add(x, -y, mode), 2, 1)
    kind = d.kind(*SIGNS)
    if d.option("cc"):
        return _carry(d, kind, False, True)
    d.count(3)
    return apply(d, np.add if d.opcode == "add" else np.subtract, d.sources(kind, 1, 2), kind)


@builds("addc", "subc")
def _add_with_carry(d: Decoder) -> Run:
    return _carry(d, d.kind("s32", "u32", "s64", "u64"), True, bool(d.option("cc")))


def _carry(d: Decoder, kind: str, carries_in: bool, carries_out: bool) -> Run:
    """Build an addition or subtraction that reads or writes the carry flag."""
    d.count(3)
    dtype = DTYPES[f"u{kind[1:]}"]
    (a, b), target = d.sources(f"u{kind[1:]}", 1, 2), d.write(d.operands[0], f"u{kind[1:]}")
    subtract = d.opcode.startswith("sub")

    def run(w: Wave, m: Lanes) -> None:
        x, y = spread(a(w, m), m), spread(b(w, m), m)
        carry = w.carry[m].astype(dtype) if carries_in else dtype.type(0)
        partial = x - y if subtract else x + y
        total = partial - carry if subtract else partial + carry
        if carries_out:
            w.carry[m] = (x < y) | (partial < carry) if subtract else (partial < x) | (total < partial)
        target(w, m, total)

    return run


@builds("mul")
def _multiply(d: Decoder) -> Run:
    if d.words[-1] in FLOATS:
        return _rounded(d, np.multiply if len(d.words) == 1 else floats.multiply, 2, 1)
    kind = d.kind(*SIGNS)
    part = d.required("lo", "hi", "wide")
    d.count(3)
    function, result = _product(d, part, kind)
    return apply(d, function, d.sources(kind, 1, 2), result)


def _product(d: Decoder, part: str, kind: str) -> tuple[Function, str]:
    if part == "wide" and kind[1:] == "64":
        raise d.unsupported("width")
    result = f"{kind[0]}{2 * int(kind[1:])}" if part == "wide" else kind
    return {"lo": np.multiply, "hi": integers.high, "wide": integers.wide}[part], result


@builds("mad", "madc")
def _multiply_add(d: Decoder) -> Run:
    d.count(4)
    if d.words[-1] in FLOATS:
        return _rounded(d, floats.fma, 3, 2)
    kind = d.kind(*SIGNS)
    part = d.required("lo", "hi", "wide")
    function, result = _product(d, part, kind)
    carries_out, carries_in = bool(d.option("cc")), d.opcode == "madc"
    a, b = d.sources(kind, 1, 2)
    c = d.read(d.operands[3], result)
    if not (carries_in or carries_out):
        return apply(d, lambda x, y, z: function(x, y) + z, [a, b, c], result)
    if part == "wide" or kind[1:] not in ("32", "64"):
        raise d.unsupported("carry of this width")
    dtype, target = DTYPES[f"u{kind[1:]}"], d.write(d.operands[0], f"u{kind[1:]}")

    def run(w: Wave, m: Lanes) -> None:
        product = integers.unsigned(np.atleast_1d(function(a(w, m), b(w, m))))
        term = integers.unsigned(np.atleast_1d(c(w, m)))
        carry = w.carry[m].astype(dtype) if carries_in else dtype.type(0)
        partial = product + term
        total = partial + carry
        if carries_out:
            w.carry[m] = (partial < product) | (total < partial)
        target(w, m, total)

    return run


@builds("fma")
def _fma(d: Decoder) -> Run:
    if not d.words or d.words[0] not in floats.MODES:
        raise d.unsupported("rounding mode")
    return _rounded(d, floats.fma, 3, 2)


@builds("div")
def _divide(d: Decoder) -> Run:
    d.count(3)
    if d.words[-1] in FLOATS:
        inexact = d.words[0] in ("approx", "full")
        if inexact:
            d.words.pop(0)
            d.approximate = "div"
        elif d.words[0] != "rn":
            raise d.unsupported("rounding mode")
        return _rounded(d, np.divide, 2, 1)
    kind = d.kind(*SIGNS)
    return apply(d, lambda x, y: _quotient(d.text, x, y)[0], d.sources(kind, 1, 2), kind)


@builds("rem")
def _remainder(d: Decoder) -> Run:
    d.count(3)
    kind = d.kind(*SIGNS)
    return apply(d, lambda x, y: _quotient(d.text, x, y)[1], d.sources(kind, 1, 2), kind)


def _quotient(text: str, x: Any, y: Any) -> tuple[Any, Any]:
    if not np.all(y):
        raise PtxError(f"integer division by zero, whose result PTX leaves open, at {text!r}")
    return integers.divide(np.atleast_1d(x), np.atleast_1d(y))


@builds("min", "max")
def _extreme(d: Decoder) -> Run:
    d.count(3)
    kind = d.kind(*SIGNS, *FLOATS)
    if kind in SIGNS:
        return apply(d, np.minimum if d.opcode == "min" else np.maximum, d.sources(kind, 1, 2), kind)
    flush = d.option("ftz")
    function = floats.smaller if d.opcode == "min" else floats.larger
    compute = (lambda x, y: function(floats.flush(x), floats.flush(y))) if flush else function
    return apply(d, compute, d.sources(kind, 1, 2), kind)


@builds("abs", "neg")
def _sign(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind("s16", "s32", "s64", *FLOATS)
    flush = d.option("ftz") if kind == "f32" else None
    function: Function = np.abs if d.opcode == "abs" else np.negative
    return apply(d, (lambda x: floats.flush(function(x))) if flush else function, d.sources(kind, 1), kind)


@builds("copysign")
def _copysign(d: Decoder) -> Run:
    d.count(3)
    kind = d.kind(*FLOATS)
    return apply(d, lambda x, y: np.copysign(y, x), d.sources(kind, 1, 2), kind)


@builds("rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh")
def _approximate(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind(*FLOATS)
    rounding = d.required("approx", "rn") if d.opcode in ("rcp", "sqrt") else d.required("approx")
    flush = d.option("ftz")
    d.flops = (kind, 1)
    if rounding == "rn":
        exact: Function = np.sqrt if d.opcode == "sqrt" else lambda x: 1 / x
    else:
        if kind == "f64" and d.opcode not in ("rcp", "rsqrt"):
            raise d.unsupported("type")
        d.approximate, name = d.opcode, d.opcode
        exact = lambda x: floats.approximate(name, x)  # noqa: E731
    compute = (lambda x: floats.flush(exact(floats.flush(x)))) if flush else exact
    return apply(d, compute, d.sources(kind, 1), kind)
