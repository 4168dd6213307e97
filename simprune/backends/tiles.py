"""Register tiles of matrix products, written as LLVM vector code.

``tile(rows, columns)`` computes Z[i:i+rows, j:j+columns] (+)= W[i:i+rows, :] X[:, j:j+columns] with the accumulators in
registers. Every element is one chain of fused multiply-adds over k in increasing order, whatever the tile's shape and
the vector width: the bits do not depend on the processor.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FEATURES = llvm.get_host_cpu_features()
VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32
COMPRESSES = bool(_FEATURES.get("avx512f") and _FEATURES.get("avx512vl"))
TILE_ROWS = 8 if VECTOR_BYTES == 64 else 4
# Columns of a panel that shares its vectors with another one (paired_tile).
PAIRED = 8
I64 = ir.IntType(64)
I32 = ir.IntType(32)


def _element(array_type: Any) -> tuple[Any, int]:
    size = array_type.dtype.bitwidth // 8
    return (ir.FloatType() if size == 4 else ir.DoubleType()), size


def _struct(context: Any, builder: Any, array_type: Any, value: Any) -> Any:
    return cgutils.create_struct_proxy(array_type)(context, builder, value)


def _leading(builder: Any, array: Any, size: int) -> Any:
    return builder.sdiv(builder.extract_value(array.strides, 0), ir.Constant(I64, size))


def _splat(builder: Any, scalar: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    single = builder.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(ir.VectorType(I32, vector.count), [0] * vector.count))


def _load(builder: Any, pointer: Any, vector: Any, size: int) -> Any:
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = size
    return value


def _store(builder: Any, value: Any, pointer: Any, vector: Any, size: int) -> None:
    builder.store(value, builder.bitcast(pointer, vector.as_pointer())).align = size


def _fma(module: Any, vector: Any, size: int) -> Any:
    name = f"llvm.fma.v{vector.count}f{8 * size}"
    return cgutils.get_or_insert_function(module, ir.FunctionType(vector, [vector] * 3), name)


def tile(rows: int, columns: int, *, accumulate: bool) -> Any:
    """Return the intrinsic ``(W, X, Z, i, j, inner)`` for a tile of ``rows`` x ``columns``.

    ``inner`` is the number of rows of X, or an array (int32) of those to be used, in increasing order.
    """

    @intrinsic
    def product(typing_context: Any, W: Any, X: Any, Z: Any, i: Any, j: Any, inner: Any) -> Any:
        element, size = _element(W)
        lanes = min(VECTOR_BYTES // size, columns)
        vector, parts = ir.VectorType(element, lanes), columns // lanes
        listed = isinstance(inner, types.Array)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            w, x, z = (_struct(context, builder, signature.args[n], args[n]) for n in range(3))
            ldw, ldx, ldz = (_leading(builder, array, size) for array in (w, x, z))
            row0, column0, count = args[3], args[4], args[5]
            if listed:
                used = _struct(context, builder, signature.args[5], args[5])
                count = used.nitems
            fma = _fma(builder.module, vector, size)
            tail = [
                builder.gep(z.data, [builder.add(builder.mul(builder.add(row0, ir.Constant(I64, r)), ldz), column0)])
                for r in range(rows)
            ]
            out = [[builder.gep(tail[r], [ir.Constant(I64, c * lanes)]) for c in range(parts)] for r in range(rows)]
            zero = ir.Constant(vector, [0.0] * lanes)
            sums = [[cgutils.alloca_once(builder, vector) for _ in range(parts)] for _ in range(rows)]
            for r in range(rows):
                for c in range(parts):
                    builder.store(_load(builder, out[r][c], vector, size) if accumulate else zero, sums[r][c])
            w_rows = [builder.gep(w.data, [builder.mul(builder.add(row0, ir.Constant(I64, r)), ldw)]) for r in range(rows)]
            x_column = builder.gep(x.data, [column0])
            with cgutils.for_range(builder, count) as loop:
                k = builder.sext(builder.load(builder.gep(used.data, [loop.index])), I64) if listed else loop.index
                x_row = builder.gep(x_column, [builder.mul(k, ldx)])
                xs = [_load(builder, builder.gep(x_row, [ir.Constant(I64, c * lanes)]), vector, size) for c in range(parts)]
                for r in range(rows):
                    weight = _splat(builder, builder.load(builder.gep(w_rows[r], [k])), vector)
                    for c in range(parts):
                        builder.store(builder.call(fma, [weight, xs[c], builder.load(sums[r][c])]), sums[r][c])
            for r in range(rows):
                for c in range(parts):
                    _store(builder, builder.load(sums[r][c]), out[r][c], vector, size)
            return context.get_dummy_value()

        return types.void(W, X, Z, types.intp, types.intp, inner if listed else types.intp), generate

    return product


def paired_tile(rows: int) -> Any:
    """Return the intrinsic ``(W, X, Y, U, V, i)``: rows i .. i + rows - 1 of U = W X and V = W Y, X and Y of PAIRED columns.

    A row of X and one of Y make one vector of 16 lanes: where that is the processor's, two products cost what one does.
    """

    @intrinsic
    def product(typing_context: Any, W: Any, X: Any, Y: Any, U: Any, V: Any, i: Any) -> Any:
        element, size = _element(W)
        half, whole = ir.VectorType(element, PAIRED), ir.VectorType(element, 2 * PAIRED)
        lanes = ir.Constant(ir.VectorType(I32, whole.count), list(range(whole.count)))
        halves = [ir.Constant(ir.VectorType(I32, PAIRED), list(range(first, first + PAIRED))) for first in (0, PAIRED)]

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = [_struct(context, builder, signature.args[n], args[n]) for n in range(5)]
            steps = [_leading(builder, array, size) for array in arrays]
            fma = _fma(builder.module, whole, size)

            def row(n: int, index: Any) -> Any:
                return builder.gep(arrays[n].data, [builder.mul(index, steps[n])])

            numbers = [builder.add(args[5], ir.Constant(I64, r)) for r in range(rows)]
            weights = [row(0, number) for number in numbers]
            sums = [cgutils.alloca_once(builder, whole) for _ in range(rows)]
            for total in sums:
                builder.store(ir.Constant(whole, [0.0] * whole.count), total)
            inner = builder.extract_value(arrays[0].shape, 1)
            with cgutils.for_range(builder, inner) as loop:
                x, y = (_load(builder, row(n, loop.index), half, size) for n in (1, 2))
                both = builder.shuffle_vector(x, y, lanes)
                for r in range(rows):
                    weight = _splat(builder, builder.load(builder.gep(weights[r], [loop.index])), whole)
                    builder.store(builder.call(fma, [weight, both, builder.load(sums[r])]), sums[r])
            for r in range(rows):
                total = builder.load(sums[r])
                for n, part in zip((3, 4), halves, strict=True):
                    _store(builder, builder.shuffle_vector(total, total, part), row(n, numbers[r]), half, size)
            return context.get_dummy_value()

        return types.void(W, X, Y, U, V, types.intp), generate

    return product


def sparse_row(columns: int) -> Any:
    """Return the intrinsic ``(index, value, start, stop, X, Z, i, j)``: Z[i, j:j+columns] += sum value * X[index, j:...].

    X is an array or a pair of arrays, whose sum is meant.
    """

    @intrinsic
    def product(typing_context: Any, index: Any, value: Any, start: Any, stop: Any, X: Any, Z: Any, i: Any, j: Any) -> Any:
        element, size = _element(Z)
        lanes = min(VECTOR_BYTES // size, columns)
        vector, parts = ir.VectorType(element, lanes), columns // lanes

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            entries, values, z = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 1, 5))
            paired = isinstance(X, types.BaseTuple)
            arrays = cgutils.unpack_tuple(builder, args[4]) if paired else [args[4]]
            xs = [_struct(context, builder, X[n] if paired else X, array) for n, array in enumerate(arrays)]
            ldz = _leading(builder, z, size)
            fma = _fma(builder.module, vector, size)
            z_row = builder.gep(z.data, [builder.add(builder.mul(args[6], ldz), args[7])])
            out = [builder.gep(z_row, [ir.Constant(I64, c * lanes)]) for c in range(parts)]
            sums = [cgutils.alloca_once(builder, vector) for _ in range(parts)]
            for c in range(parts):
                builder.store(_load(builder, out[c], vector, size), sums[c])
            x_columns = [builder.gep(x.data, [args[7]]) for x in xs]
            with cgutils.for_range(builder, args[3], start=args[2]) as loop:
                entry = builder.sext(builder.load(builder.gep(entries.data, [loop.index])), I64)
                weight = _splat(builder, builder.load(builder.gep(values.data, [loop.index])), vector)
                x_rows = [
                    builder.gep(column, [builder.mul(entry, _leading(builder, x, size))])
                    for column, x in zip(x_columns, xs, strict=True)
                ]
                for c in range(parts):
                    loaded = [
                        _load(builder, builder.gep(row, [ir.Constant(I64, c * lanes)]), vector, size) for row in x_rows
                    ]
                    part = builder.fadd(*loaded) if paired else loaded[0]
                    builder.store(builder.call(fma, [weight, part, builder.load(sums[c])]), sums[c])
            for c in range(parts):
                _store(builder, builder.load(sums[c]), out[c], vector, size)
            return context.get_dummy_value()

        return types.void(index, value, types.intp, types.intp, X, Z, types.intp, types.intp), generate

    return product


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
        if COMPRESSES:
            name, kind = f"llvm.x86.avx512.mask.compress.v{n}i32", ir.FunctionType(narrow, [narrow, narrow, flags])
            compress = cgutils.get_or_insert_function(builder.module, kind, name)
        bound = _splat(builder, args[2], vector)
        places = builder.add(_splat(builder, builder.trunc(args[1], I32), narrow), ir.Constant(narrow, list(range(n))))
        total = args[4]
        for first in range(0, 32, n):
            at = builder.add(args[1], ir.Constant(I64, first))
            bits = builder.icmp_signed("<=", _load_keys(builder, keys, builder.gep(array.data, [at]), vector), bound)
            own = builder.add(places, ir.Constant(narrow, [first] * n))
            if COMPRESSES:
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
        if COMPRESSES:
            name, kind = f"llvm.x86.avx512.mask.compress.v{n}", ir.FunctionType(vector, [vector, vector, flags])
            name += f"{'f' if is_float else 'i'}{8 * size}"
            compress = cgutils.get_or_insert_function(builder.module, kind, name)
        bound, total = _splat(builder, args[2], key_vector), args[5]
        for first in range(0, 32, n):
            at = builder.add(args[1], ir.Constant(I64, first))
            bits = builder.icmp_signed("<=", _load(builder, builder.gep(array.data, [at]), key_vector, 4), bound)
            own = _load(builder, builder.gep(source.data, [at]), vector, 4)
            if COMPRESSES:
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
