"""Instructions that compute: integers, floats, comparisons, conversions, moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ptx import floats, integers
from tests.ptx.decode import FLOATS, INTEGERS, Decoder, Run, Source, builds
from tests.ptx.errors import PtxError
from tests.ptx.lanes import Lanes, spread
from tests.ptx.memory import LOCAL_WINDOW, SHARED_WINDOW
from tests.ptx.syntax import DTYPES, Group
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
    table = int(d.read(d.operands[4], "u32")(None, slice(0)))  # type: ignore[arg-type]
    return apply(d, lambda a, b, c: integers.logic3(a, b, c, table), d.sources(kind, 1, 2, 3), kind)


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


ORDERED = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
UNSIGNED = {"lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal}
LOGIC = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _comparison(word: str, kind: str) -> Function | None:
    if kind not in FLOATS:
        return ORDERED.get(word) or (UNSIGNED.get(word) if kind[0] in "ub" else None)
    if word in ("nan", "num"):
        return lambda x, y: (np.isnan(x) | np.isnan(y)) == (word == "nan")
    base = ORDERED.get(word.removesuffix("u"))
    if base is None:
        return None
    if word.endswith("u"):
        return lambda x, y: base(x, y) | np.isnan(x) | np.isnan(y)
    return base if word != "ne" else lambda x, y: (x != y) & ~np.isnan(x) & ~np.isnan(y)


@builds("setp")
def _compare(d: Decoder) -> Run:
    kind = d.kind(*INTEGERS, *FLOATS)
    function = _comparison(d.words.pop(0) if d.words else "", kind)
    if function is None:
        raise d.unsupported("comparison")
    logic, flush = d.option(*LOGIC), d.option("ftz")
    d.count(4 if logic else 3)
    compare = (lambda x, y: function(floats.flush(x), floats.flush(y))) if flush else function
    sources = d.sources(kind, 1, 2)
    if not logic:
        return apply(d, compare, sources, "pred")
    return apply(d, lambda x, y, p: LOGIC[logic](compare(x, y), p), [*sources, d.read(d.operands[3], "pred")], "pred")


@builds("selp")
def _select(d: Decoder) -> Run:
    d.count(4)
    kind = d.kind(*INTEGERS, *FLOATS)
    dtype = DTYPES[kind]
    sources = [*d.sources(kind, 1, 2), d.read(d.operands[3], "pred")]
    return apply(d, lambda x, y, p: np.where(p, x, y).astype(dtype, copy=False), sources, kind)


@builds("mov")
def _move(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind("pred", *INTEGERS, *FLOATS)
    target, source = d.operands
    if isinstance(target, Group):
        return _unpack(d, target, kind)
    if isinstance(source, Group):
        return _pack(d, source, kind)
    return apply(d, lambda x: x, [d.read(source, kind)], kind)


def _part(d: Decoder, kind: str, n: int) -> str:
    bits = int(kind[1:]) // n
    if bits not in (8, 16, 32):
        raise d.unsupported("vector")
    return f"b{bits}"


def _unpack(d: Decoder, target: Group, kind: str) -> Run:
    part = _part(d, kind, len(target.items))
    whole, width = f"u{int(kind[1:]) // 8}", int(part[1:])
    source, targets = d.read(d.operands[1], kind), [d.write(item, part) for item in target.items]

    def run(w: Wave, m: Lanes) -> None:
        value = np.array(source(w, m)).view(whole)
        for i, write in enumerate(targets):
            write(w, m, (value >> value.dtype.type(i * width)).astype(DTYPES[part]))

    return run


def _pack(d: Decoder, source: Group, kind: str) -> Run:
    part = _part(d, kind, len(source.items))
    dtype, width = DTYPES[f"b{kind[1:]}"], int(part[1:])
    sources, target = [d.read(item, part) for item in source.items], d.write(d.operands[0], f"b{kind[1:]}")

    def run(w: Wave, m: Lanes) -> None:
        value = np.zeros((), dtype)
        for i, read in enumerate(sources):
            value = value | (np.asarray(read(w, m)).astype(dtype) << dtype.type(i * width))
        target(w, m, value)

    return run


@builds("cvta")
def _generic_address(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind("u64")
    to = d.option("to")
    window = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW, "global": 0, "const": 0}[
        d.required("shared", "local", "global", "const")
    ]
    shift = np.uint64(window)
    return apply(d, (lambda x: x - shift) if to else (lambda x: x + shift), d.sources(kind, 1), kind)


@builds("cvt")
def _convert(d: Decoder) -> Run:
    d.count(2)
    origin = d.kind(*(k for k in DTYPES if k != "pred" and k[0] != "b"))
    result = d.kind(*(k for k in DTYPES if k != "pred" and k[0] != "b"))
    rounding = d.option(*floats.MODES, *floats.ROUND)
    flush, saturate = d.option("ftz"), d.option("sat")
    function = _conversion(d, origin, result, rounding)

    def compute(x: Any) -> Any:
        y = function(floats.flush(x) if flush and origin == "f32" else x)
        y = floats.flush(y) if flush and result == "f32" else y
        return floats.saturate(y) if saturate and result in FLOATS else y

    if saturate and result not in FLOATS and origin not in FLOATS:
        limits = np.iinfo(DTYPES[result])
        return apply(d, lambda x: _clamped(x, limits.min, limits.max).astype(DTYPES[result]), d.sources(origin, 1), result)
    return apply(d, compute if flush or saturate else function, d.sources(origin, 1), result)


def _clamped(x: Any, low: int, high: int) -> Any:
    own = np.iinfo(x.dtype)
    return np.clip(x, max(low, own.min), min(high, own.max))


def _conversion(d: Decoder, origin: str, result: str, rounding: str | None) -> Function:
    dtype, source_is_float, result_is_float = DTYPES[result], origin in FLOATS, result in FLOATS
    if not source_is_float and not result_is_float:
        if rounding:
            raise d.unsupported("rounding mode")
        return lambda x: x.astype(dtype)
    if source_is_float and not result_is_float:
        if rounding not in floats.ROUND:
            raise d.unsupported("rounding mode")
        return lambda x: floats.to_integer(np.atleast_1d(x), dtype, rounding)
    if not source_is_float:
        if rounding != "rn":
            raise d.unsupported("rounding mode")
        return lambda x: x.astype(dtype)
    if origin == result and (rounding is None or rounding in floats.ROUND):
        return floats.ROUND[rounding] if rounding else lambda x: x
    if (origin, result) == ("f32", "f64") and rounding is None:
        return lambda x: x.astype(dtype)
    if (origin, result) == ("f64", "f32") and rounding in floats.MODES:
        return lambda x: floats.to_float32(x, rounding)
    raise d.unsupported("conversion")
