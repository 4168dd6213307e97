"""Register tiles of products whose inner index walks over an image by a table of offsets (implicit matrices).

``offset_tile(rows, columns)`` computes out[place + r * leading + c] (+)= sum over k of W[i + r, k] * x[at + offset[k] + c]
with the accumulators in registers, every element one chain of fused multiply-adds over k in increasing order. Arrays x
and out are flat. What has more columns than fit into the registers (float64) is computed in parts, one after the other.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simprune.backends.tiles import I64, VECTOR_BYTES, _element, _fma, _leading, _load, _splat, _store, _struct

DENSE_ROWS = 4
DENSE_VECTORS, SPARSE_VECTORS = (4, 8) if VECTOR_BYTES == 64 else (2, 8)
"""Vectors of a tile's row: their accumulators fill half the registers and more."""


def offset_tile(rows: int, columns: int) -> Any:
    """Return the intrinsic ``(W, i, offset, n_inner, x, at, out, place, leading)``; the tile is written, not added."""

    @intrinsic
    def product(
        typing_context: Any, W: Any, i: Any, offset: Any, n_inner: Any, x: Any, at: Any, out: Any, place: Any, leading: Any
    ) -> Any:
        element, size = _element(W)
        lanes = min(VECTOR_BYTES // size, columns)
        vector, vectors = ir.VectorType(element, lanes), columns // lanes

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            w, offsets, source, target = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 2, 4, 6))
            ldw = _leading(builder, w, size)
            fma = _fma(builder.module, vector, size)
            zero = ir.Constant(vector, [0.0] * lanes)
            x_start = builder.gep(source.data, [args[5]])
            w_rows = [
                builder.gep(w.data, [builder.mul(builder.add(args[1], ir.Constant(I64, r)), ldw)]) for r in range(rows)
            ]
            for part in _parts(vectors, DENSE_VECTORS):
                sums = [[cgutils.alloca_once(builder, vector) for _ in part] for _ in range(rows)]
                for total in (total for row in sums for total in row):
                    builder.store(zero, total)
                with cgutils.for_range(builder, args[3]) as loop:
                    x_row = builder.gep(x_start, [builder.load(builder.gep(offsets.data, [loop.index]))])
                    xs = [_load(builder, _column(builder, x_row, c * lanes), vector, size) for c in part]
                    for r in range(rows):
                        weight = _splat(builder, builder.load(builder.gep(w_rows[r], [loop.index])), vector)
                        for values, total in zip(xs, sums[r], strict=True):
                            builder.store(builder.call(fma, [weight, values, builder.load(total)]), total)
                for r in range(rows):
                    row = builder.gep(target.data, [builder.add(args[7], builder.mul(ir.Constant(I64, r), args[8]))])
                    for c, total in zip(part, sums[r], strict=True):
                        _store(builder, builder.load(total), _column(builder, row, c * lanes), vector, size)
            return context.get_dummy_value()

        return types.void(W, types.intp, offset, types.intp, x, types.intp, out, types.intp, types.intp), generate

    return product


def offset_sparse_row(columns: int) -> Any:
    """Return the intrinsic ``(index, value, start, stop, offset, x, at, out, place)``.

    out[place + c] += sum over the entries p of value[p] * x[at + offset[index[p]] + c].
    """

    @intrinsic
    def product(
        typing_context: Any,
        index: Any,
        value: Any,
        start: Any,
        stop: Any,
        offset: Any,
        x: Any,
        at: Any,
        out: Any,
        place: Any,
    ) -> Any:
        element, size = _element(x)
        lanes = min(VECTOR_BYTES // size, columns)
        vector, vectors = ir.VectorType(element, lanes), columns // lanes

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            entries, values, offsets, source, target = (
                _struct(context, builder, signature.args[n], args[n]) for n in (0, 1, 4, 5, 7)
            )
            fma = _fma(builder.module, vector, size)
            row, x_start = builder.gep(target.data, [args[8]]), builder.gep(source.data, [args[6]])
            for part in _parts(vectors, SPARSE_VECTORS):
                sums = [cgutils.alloca_once(builder, vector) for _ in part]
                for c, total in zip(part, sums, strict=True):
                    builder.store(_load(builder, _column(builder, row, c * lanes), vector, size), total)
                with cgutils.for_range(builder, args[3], start=args[2]) as loop:
                    entry = builder.sext(builder.load(builder.gep(entries.data, [loop.index])), I64)
                    weight = _splat(builder, builder.load(builder.gep(values.data, [loop.index])), vector)
                    x_row = builder.gep(x_start, [builder.load(builder.gep(offsets.data, [entry]))])
                    for c, total in zip(part, sums, strict=True):
                        x_values = _load(builder, _column(builder, x_row, c * lanes), vector, size)
                        builder.store(builder.call(fma, [weight, x_values, builder.load(total)]), total)
                for c, total in zip(part, sums, strict=True):
                    _store(builder, builder.load(total), _column(builder, row, c * lanes), vector, size)
            return context.get_dummy_value()

        return (
            types.void(index, value, types.intp, types.intp, offset, x, types.intp, out, types.intp),
            generate,
        )

    return product


def _parts(n: int, most: int) -> list[range]:
    return [range(first, min(first + most, n)) for first in range(0, n, most)]


def _column(builder: Any, row: Any, column: int) -> Any:
    return builder.gep(row, [ir.Constant(I64, column)])
