"""Moves, conversions of types, generic addresses."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ptx import floats
from tests.ptx.arithmetic import Function, apply
from tests.ptx.decode import FLOATS, INTEGERS, Decoder, Run, builds
from tests.ptx.lanes import Lanes
from tests.ptx.memory import LOCAL_WINDOW, SHARED_WINDOW
from tests.ptx.syntax import DTYPES, Group
from tests.ptx.wave import Wave


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
