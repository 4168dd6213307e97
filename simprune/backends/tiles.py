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
HAS_COMPRESS = bool(_FEATURES.get("avx512f") and _FEATURES.get("avx512vl"))
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


def sparse_entries(columns: int) -> Any:
    """Return the intrinsic ``(line, index, value, X, Z)``: Z[line[p]] += value[p] * X[index[p]] for p = 0, 1, ...

    Panels have this many columns; X is an array or a pair of arrays, whose sum is meant. There is no loop over a line's
    entries, whose end a processor would guess wrong where lines have a few.
    """

    @intrinsic
    def product(typing_context: Any, line: Any, index: Any, value: Any, X: Any, Z: Any) -> Any:
        element, size = _element(Z)
        lanes = min(VECTOR_BYTES // size, columns)
        vector, parts = ir.VectorType(element, lanes), columns // lanes

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            lines, entries, values, z = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 1, 2, 4))
            paired = isinstance(X, types.BaseTuple)
            arrays = cgutils.unpack_tuple(builder, args[3]) if paired else [args[3]]
            xs = [_struct(context, builder, X[n] if paired else X, array) for n, array in enumerate(arrays)]
            fma = _fma(builder.module, vector, size)
            width = ir.Constant(I64, columns)
            with cgutils.for_range(builder, lines.nitems) as loop:
                row, entry = (
                    builder.mul(builder.sext(builder.load(builder.gep(array.data, [loop.index])), I64), width)
                    for array in (lines, entries)
                )
                weight = _splat(builder, builder.load(builder.gep(values.data, [loop.index])), vector)
                for c in range(parts):
                    at = ir.Constant(I64, c * lanes)
                    loaded = [_load(builder, builder.gep(x.data, [builder.add(entry, at)]), vector, size) for x in xs]
                    part, out = builder.fadd(*loaded) if paired else loaded[0], builder.gep(z.data, [builder.add(row, at)])
                    _store(builder, builder.call(fma, [weight, part, _load(builder, out, vector, size)]), out, vector, size)
            return context.get_dummy_value()

        return types.void(line, index, value, X, Z), generate

    return product
