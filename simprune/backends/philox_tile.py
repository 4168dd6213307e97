"""Philox4x32-10 for a few vectors of counters at a time, written as LLVM vector code.

A lane of 64 bits holds a word of one counter in its lower half, and anything in its upper half: products take the lower
halves alone. The upper half of a product is moved down by a shuffle, not by a shift: Intel's processors multiply and
shift 512 bits on one and the same port, and shuffle on the other.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simprune.backends.tiles import I32, I64, VECTOR_BYTES, _splat, _store, _struct
from simprune.rng import MULTIPLIERS, WEYL

LANES = VECTOR_BYTES // 8
PAIR = 2 * LANES
PAIRS = 2 if VECTOR_BYTES == 64 else 1
COUNTERS = PAIRS * PAIR
"""Counters of a call: so many that no product waits for the one before it."""
ROUNDS = 10
LOW = 0xFFFFFFFF
_LANE, _WORDS = ir.VectorType(I64, LANES), ir.VectorType(I32, PAIR)


def _constant(value: int) -> Any:
    return ir.Constant(_LANE, [value] * LANES)


def _times(builder: Any, words: Any, multiplier: int) -> Any:
    return builder.mul(builder.and_(words, _constant(LOW)), _constant(multiplier))


def _upper(builder: Any, products: Any) -> Any:
    """Return the upper halves of 64-bit lanes, in both halves."""
    halves = builder.bitcast(products, _WORDS)
    places = [i | 1 for i in range(PAIR)]
    moved = builder.shuffle_vector(halves, halves, ir.Constant(ir.VectorType(I32, PAIR), places))
    return builder.bitcast(moved, _LANE)


def _rounds(builder: Any, states: list[list[Any]], keys: tuple[Any, Any]) -> list[list[Any]]:
    """Return the states after all rounds; the instructions of the states take turns."""
    for number in range(ROUNDS):
        own = [
            _splat(builder, builder.add(key, ir.Constant(I64, number * step)), _LANE)
            for key, step in zip(keys, WEYL, strict=True)
        ]
        products = [(_times(builder, c[2], MULTIPLIERS[1]), _times(builder, c[0], MULTIPLIERS[0])) for c in states]
        keyed = [(builder.xor(c[1], own[0]), builder.xor(c[3], own[1])) for c in states]
        states = [
            [builder.xor(_upper(builder, p), a), p, builder.xor(_upper(builder, q), b), q]
            for (p, q), (a, b) in zip(products, keyed, strict=True)
        ]
    return states


def _words(builder: Any, first: Any, rest: tuple[Any, ...], keys: tuple[Any, Any]) -> list[list[Any]]:
    """Return the words of COUNTERS counters: for each of the four words PAIRS vectors."""
    even = ir.Constant(ir.VectorType(I32, PAIR), list(range(0, 2 * PAIR, 2)))
    states = []
    for begin in range(0, COUNTERS, LANES):
        lanes = ir.Constant(_LANE, list(range(begin, begin + LANES)))
        states.append([builder.add(_splat(builder, first, _LANE), lanes), *(_splat(builder, c, _LANE) for c in rest)])
    halves = [[builder.bitcast(word, _WORDS) for word in state] for state in _rounds(builder, states, keys)]
    pairs = [(halves[2 * i], halves[2 * i + 1]) for i in range(PAIRS)]
    return [[builder.shuffle_vector(low[w], high[w], even) for low, high in pairs] for w in range(4)]


def _places(builder: Any, at: Any, plane: Any) -> list[list[Any]]:
    """Return where the vectors of ``_words`` belong."""
    starts = [builder.add(at, builder.mul(plane, ir.Constant(I64, w))) for w in range(4)]
    return [[builder.add(start, ir.Constant(I64, i * PAIR)) for i in range(PAIRS)] for start in starts]


@intrinsic
def philox_words(typing_context: Any, counter: Any, key: Any, out: Any, at: Any, plane: Any) -> Any:
    """Write word w of the counters (first + i, c1, c2, c3) to out[at + w * plane + i], i = 0 .. COUNTERS - 1.

    ``counter`` = (first, c1, c2, c3) and ``key`` = (k0, k1), int64.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (first, *rest), keys = (cgutils.unpack_tuple(builder, args[n]) for n in (0, 1))
        target = _struct(context, builder, signature.args[2], args[2])
        words = _words(builder, first, rest, keys)
        for own, places in zip(words, _places(builder, args[3], args[4]), strict=True):
            for word, place in zip(own, places, strict=True):
                _store(builder, word, builder.gep(target.data, [place]), _WORDS, 4)
        return context.get_dummy_value()

    return types.void(counter, key, out, types.intp, types.intp), generate


@intrinsic
def philox_uniform(
    typing_context: Any,
    counter: Any,
    key: Any,
    out: Any,
    at: Any,
    plane: Any,
    step: Any,
    bound: Any,
    weights: Any,
    flags: Any,
) -> Any:
    """Do the same, and write weights and flags in the places of their words, both from the words at hand.

    A weight (float32) is (key + 1/2) step with the sign of its word; bit e of ``flags`` (uint32, seen as one string of bits)
    says that key e, the lower 31 bits of its word, is <= ``bound``. ``at`` and ``plane`` are multiples of COUNTERS.
    """
    bits = ir.IntType(PAIR)
    floats = ir.VectorType(ir.FloatType(), PAIR)

    def splat(value: int) -> Any:
        return ir.Constant(_WORDS, [value] * PAIR)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (first, *rest), keys = (cgutils.unpack_tuple(builder, args[n]) for n in (0, 1))
        target, values, marks = (_struct(context, builder, signature.args[n], args[n]) for n in (2, 7, 8))
        scale, most = _splat(builder, args[5], floats), _splat(builder, args[6], _WORDS)
        strings = builder.bitcast(marks.data, bits.as_pointer())
        words = _words(builder, first, rest, keys)
        for own, places in zip(words, _places(builder, args[3], args[4]), strict=True):
            for word, place in zip(own, places, strict=True):
                _store(builder, word, builder.gep(target.data, [place]), _WORDS, 4)
                magnitudes = builder.and_(word, splat(0x7FFFFFFF))
                middles = builder.fadd(builder.sitofp(magnitudes, floats), ir.Constant(floats, [0.5] * PAIR))
                unsigned = builder.bitcast(builder.fmul(middles, scale), _WORDS)
                signed = builder.or_(unsigned, builder.and_(word, splat(0x80000000)))
                _store(builder, builder.bitcast(signed, floats), builder.gep(values.data, [place]), floats, 4)
                flag = builder.bitcast(builder.icmp_signed("<=", magnitudes, most), bits)
                builder.store(flag, builder.gep(strings, [builder.udiv(place, ir.Constant(I64, PAIR))]))
        return context.get_dummy_value()

    return (
        types.void(counter, key, out, types.intp, types.intp, types.float32, types.int32, weights, flags),
        generate,
    )
