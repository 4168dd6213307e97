"""Vector code on lanes of keys: comparisons to masks of bits, and packing of what a comparison selects."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simprune.backends.tiles import HAS_COMPRESS, I32, I64, VECTOR_BYTES, _element, _load, _splat, _store, _struct


def compare_lanes(*, or_equal: bool) -> Any:
    """Return the intrinsic ``(keys, start, bound)``: bit b of the result is keys[start + b] < bound (or <=), b = 0..31."""

    @intrinsic
    def compare(typing_context: Any, keys: Any, start: Any, bound: Any) -> Any:
        element = ir.IntType(keys.dtype.bitwidth)
        vector = ir.VectorType(element, 32)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = _struct(context, builder, signature.args[0], args[0])
            lanes = _load_keys(builder, keys, builder.gep(array.data, [args[1]]), vector)
            bits = builder.icmp_signed("<=" if or_equal else "<", lanes, _splat(builder, args[2], vector))
            return builder.bitcast(bits, I32)

        return types.uint32(keys, types.intp, _key_type(keys)), generate

    return compare


def _key_type(keys: Any) -> Any:
    """Type of the keys of an array; random words (unsigned) stand for their lower 31 bits."""
    return keys.dtype if keys.dtype.signed else types.int32


def _load_keys(builder: Any, keys: Any, pointer: Any, vector: Any) -> Any:
    loaded = _load(builder, pointer, vector, keys.dtype.bitwidth // 8)
    return loaded if keys.dtype.signed else builder.and_(loaded, ir.Constant(vector, [0x7FFFFFFF] * vector.count))


@intrinsic
def compress_at_most(typing_context: Any, keys: Any, start: Any, bound: Any, index: Any, count: Any) -> Any:
    """Write start + b for the keys[start + b] <= bound, b = 0..31, to index[count:] and return count + their number.

    ``index`` (int32) must have room for 32 more. AVX-512 packs the places of a vector at once.
    """
    size = keys.dtype.bitwidth // 8
    n = VECTOR_BYTES // size
    element, narrow = ir.IntType(8 * size), ir.VectorType(I32, n)
    vector, flags = ir.VectorType(element, n), ir.VectorType(ir.IntType(1), n)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, out = (_struct(context, builder, signature.args[i], args[i]) for i in (0, 3))
        if HAS_COMPRESS:
            name, kind = f"llvm.x86.avx512.mask.compress.v{n}i32", ir.FunctionType(narrow, [narrow, narrow, flags])
            compress = cgutils.get_or_insert_function(builder.module, kind, name)
        bound = _splat(builder, args[2], vector)
        places = builder.add(_splat(builder, builder.trunc(args[1], I32), narrow), ir.Constant(narrow, list(range(n))))
        total = args[4]
        for first in range(0, 32, n):
            at = builder.add(args[1], ir.Constant(I64, first))
            bits = builder.icmp_signed("<=", _load_keys(builder, keys, builder.gep(array.data, [at]), vector), bound)
            own = builder.add(places, ir.Constant(narrow, [first] * n))
            if HAS_COMPRESS:
                packed = builder.call(compress, [own, ir.Constant(narrow, [0] * n), bits])
                _store(builder, packed, builder.gep(out.data, [total]), narrow, 4)
                number = builder.ctpop(builder.zext(builder.bitcast(bits, ir.IntType(n)), I64))
                total = builder.add(total, number)
                continue
            for lane in range(n):
                builder.store(builder.extract_element(own, ir.Constant(I32, lane)), builder.gep(out.data, [total]))
                total = builder.add(total, builder.zext(builder.extract_element(bits, ir.Constant(I32, lane)), I64))
        return total

    return types.int64(keys, types.intp, _key_type(keys), index, types.int64), generate


@intrinsic
def compress_values(typing_context: Any, keys: Any, start: Any, bound: Any, values: Any, out: Any, count: Any) -> Any:
    """Write the values[start + b] whose keys[start + b] <= bound, b = 0..31, to out[count:]; return count + their number.

    ``out``, of the type of ``values``, must have room for 32 more.
    """
    n = VECTOR_BYTES // (keys.dtype.bitwidth // 8)
    is_float, size = isinstance(values.dtype, types.Float), values.dtype.bitwidth // 8
    element = _element(values)[0] if is_float else ir.IntType(8 * size)
    vector, flags = ir.VectorType(element, n), ir.VectorType(ir.IntType(1), n)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, source, target = (_struct(context, builder, signature.args[i], args[i]) for i in (0, 3, 4))
        key_vector = ir.VectorType(ir.IntType(keys.dtype.bitwidth), n)
        if HAS_COMPRESS:
            name, kind = f"llvm.x86.avx512.mask.compress.v{n}", ir.FunctionType(vector, [vector, vector, flags])
            name += f"{'f' if is_float else 'i'}{8 * size}"
            compress = cgutils.get_or_insert_function(builder.module, kind, name)
        bound, total = _splat(builder, args[2], key_vector), args[5]
        for first in range(0, 32, n):
            at = builder.add(args[1], ir.Constant(I64, first))
            bits = builder.icmp_signed("<=", _load(builder, builder.gep(array.data, [at]), key_vector, 4), bound)
            own = _load(builder, builder.gep(source.data, [at]), vector, 4)
            if HAS_COMPRESS:
                packed = builder.call(compress, [own, ir.Constant(vector, ir.Undefined), bits])
                _store(builder, packed, builder.gep(target.data, [total]), vector, 4)
                number = builder.ctpop(builder.zext(builder.bitcast(bits, ir.IntType(n)), I64))
                total = builder.add(total, number)
                continue
            for lane in range(n):
                builder.store(builder.extract_element(own, ir.Constant(I32, lane)), builder.gep(target.data, [total]))
                total = builder.add(total, builder.zext(builder.extract_element(bits, ir.Constant(I32, lane)), I64))
        return total

    return types.int64(keys, types.intp, keys.dtype, values, out, types.int64), generate


@intrinsic
def number_of_bits(typing_context: Any, word: Any) -> Any:
    """Return how many bits of a uint32 are set."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.ctpop(args[0]), I64)

    return types.int64(types.uint32), generate


@intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Return the index of the lowest set bit of a non-zero uint32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.cttz(args[0], ir.Constant(ir.IntType(1), 1)), I64)

    return types.int64(types.uint32), generate
