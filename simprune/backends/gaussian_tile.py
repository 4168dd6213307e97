"""Gaussian weights from random words by inversion, several vectors in turn, written as LLVM vector code.

One vector's polynomials are chains of some two hundred cycles, and a processor does not look far enough ahead to begin with
the next ones meanwhile: their instructions take turns here. The central and tail polynomials are those of Giles,
"Approximating the erfinv function", GPU Gems 4 (single precision); the logarithm is the single-precision Cephes one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simprune.backends.tiles import I32, I64, VECTOR_BYTES, _load, _splat, _store, _struct

LANES = VECTOR_BYTES // 4
TURNS = 4
WORDS = TURNS * LANES
"""Words of a call."""
LOGARITHM = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
CENTRE = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)
_INTEGERS, _FLOATS = ir.VectorType(I32, LANES), ir.VectorType(ir.FloatType(), LANES)
Vectors = list[Any]


def _number(value: float) -> Any:
    return ir.Constant(_FLOATS, [value] * LANES)


def _integer(value: int) -> Any:
    return ir.Constant(_INTEGERS, [value] * LANES)


class _Turns:
    """Arithmetic on vectors that take turns; a single value stands for all of them."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def each(self, operation: Callable[..., Any], *operands: Any) -> Vectors:
        """Apply an operation of the builder."""
        spread = [operand if isinstance(operand, list) else [operand] * TURNS for operand in operands]
        return [operation(*own) for own in zip(*spread, strict=True)]

    def add(self, a: Any, b: Any) -> Vectors:
        return self.each(self.builder.fadd, a, b)

    def sub(self, a: Any, b: Any) -> Vectors:
        return self.each(self.builder.fsub, a, b)

    def mul(self, a: Any, b: Any) -> Vectors:
        return self.each(self.builder.fmul, a, b)

    def polynomial(self, x: Vectors, coefficients: Sequence[float]) -> Vectors:
        """Return a polynomial by Horner's rule, highest power first; products and sums are rounded one by one."""
        first, second, *rest = (_number(c) for c in coefficients)
        value = self.add(self.mul(first, x), second)
        for coefficient in rest:
            value = self.add(self.mul(value, x), coefficient)
        return value


def _minus_logarithm(turns: _Turns, v: Vectors) -> Vectors:
    """Return -ln v for v in (0, 1]."""
    b = turns.builder
    bits = turns.each(lambda x: b.bitcast(x, _INTEGERS), v)
    exponent = turns.each(lambda x: b.ashr(b.sub(x, _integer(0x3F3504F3)), _integer(23)), bits)
    mantissa = turns.each(lambda x, e: b.bitcast(b.sub(x, b.shl(e, _integer(23))), _FLOATS), bits, exponent)
    t, e = turns.sub(mantissa, _number(1.0)), turns.each(lambda x: b.sitofp(x, _FLOATS), exponent)
    z, p = turns.mul(t, t), turns.polynomial(t, LOGARITHM)
    y = turns.add(turns.mul(turns.mul(t, z), p), turns.mul(e, _number(-2.12194440e-4)))
    y = turns.sub(y, turns.mul(_number(0.5), z))
    total = turns.add(turns.add(t, y), turns.mul(e, _number(0.693359375)))
    return turns.each(lambda x: b.bitcast(b.xor(b.bitcast(x, _INTEGERS), _integer(-0x80000000)), _FLOATS), total)


@intrinsic
def gaussian_tile(typing_context: Any, words: Any, at: Any, factor: Any, weights: Any) -> Any:
    """Write factor erfinv((key + 1/2) 2^-31), with the signs of the words, for the WORDS words from ``at`` on.

    Words are uint32: a sign and a key of 31 bits; ``factor`` and weights are float32.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 3))
        turns, scale = _Turns(builder), _splat(builder, args[2], _FLOATS)
        places = [builder.add(args[1], ir.Constant(I64, i * LANES)) for i in range(TURNS)]
        word = [_load(builder, builder.gep(source.data, [place]), _INTEGERS, 4) for place in places]
        key = turns.each(builder.and_, word, _integer(0x7FFFFFFF))
        m = turns.each(lambda x: builder.sitofp(x, _FLOATS), key)
        rest = turns.each(lambda x: builder.sitofp(builder.sub(_integer(0x7FFFFFFF), x), _FLOATS), key)
        v = turns.mul(turns.add(rest, _number(0.5)), turns.sub(_number(4294967296.0), rest))
        w = _minus_logarithm(turns, turns.mul(v, _number(2.0**-62)))
        x = turns.mul(turns.add(m, _number(0.5)), _number(2.0**-31))
        root = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_FLOATS, [_FLOATS]), f"llvm.sqrt.v{LANES}f32")
        centre = turns.polynomial(turns.sub(w, _number(2.5)), CENTRE)
        tail = turns.polynomial(turns.sub(turns.each(lambda a: builder.call(root, [a]), w), _number(3.0)), TAIL)
        near = turns.each(lambda a: builder.fcmp_ordered("<", a, _number(5.0)), w)
        magnitude = turns.mul(turns.mul(turns.each(builder.select, near, centre, tail), x), scale)
        sign = turns.each(builder.and_, word, _integer(-0x80000000))
        bits = turns.each(lambda a, s: builder.or_(builder.bitcast(a, _INTEGERS), s), magnitude, sign)
        for value, place in zip(bits, places, strict=True):
            pointer = builder.gep(target.data, [place])
            _store(builder, builder.bitcast(value, _FLOATS), pointer, _FLOATS, 4)
        return context.get_dummy_value()

    return types.void(words, types.intp, types.float32, weights), generate
