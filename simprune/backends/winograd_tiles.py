"""Vector code of Winograd's F(4 x 4, 3 x 3): 36 products instead of 144 give 16 outputs of a 3 x 3 correlation.

Lavin & Gray (Fast algorithms for convolutional neural networks, CVPR 2016): Y = A^T [sum over channels of (G g G^T) *
(B^T d B)] A for tiles d of 6 x 6 inputs. The five finite points of interpolation are 0, +-5/8 and +-3/2: exact in binary,
and in float32 their rounding error is twice that of the plain sum (the usual 0, +-1, +-2: more than four times).
Every lane is computed by the same operations in the same order, whatever the vector width.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simprune.backends.tiles import I64, VECTOR_BYTES, _element, _fma, _leading, _load, _store, _struct

NEAR, FAR = 0.625, 1.5
"""The points of interpolation are 0, +-NEAR, +-FAR and infinity."""
OUTPUTS, TAPS, INPUTS = 4, 3, 6
PLACES = INPUTS * INPUTS
Values = list[Any]


class _Lanes:
    """Arithmetic on vectors of one type."""

    def __init__(self, builder: Any, vector: Any, size: int) -> None:
        self.builder, self.vector = builder, vector
        self._fma = _fma(builder.module, vector, size)

    def scaled(self, a: Any, factor: float, b: Any) -> Any:
        """Return a + factor b."""
        constant = ir.Constant(self.vector, [factor] * self.vector.count)
        return self.builder.call(self._fma, [b, constant, a])

    def times(self, factor: float, a: Any) -> Any:
        """Return factor a."""
        return self.builder.fmul(a, ir.Constant(self.vector, [factor] * self.vector.count))

    def inputs(self, d: Values) -> Values:
        """Return B^T d: six inputs on a line at six points."""
        near, far = NEAR**2, FAR**2
        even_near, odd_near = self.scaled(d[4], -far, d[2]), self.scaled(d[3], -far, d[1])
        even_far, odd_far = self.scaled(d[4], -near, d[2]), self.scaled(d[3], -near, d[1])
        return [
            self.scaled(self.scaled(d[4], -near - far, d[2]), near * far, d[0]),
            self.scaled(even_near, NEAR, odd_near),
            self.scaled(even_near, -NEAR, odd_near),
            self.scaled(even_far, FAR, odd_far),
            self.scaled(even_far, -FAR, odd_far),
            self.scaled(self.scaled(d[5], -near - far, d[3]), near * far, d[1]),
        ]

    def taps(self, g: Values) -> Values:
        """Return G g: three taps on a line at six points."""
        values = [self.times(1.0 / (NEAR * FAR) ** 2, g[0])]
        for point, other in ((NEAR, FAR), (FAR, NEAR)):
            even, odd = self.scaled(g[0], point**2, g[2]), self.times(point, g[1])
            scale = 1.0 / (2.0 * point**2 * (point**2 - other**2))
            values += [self.times(scale, self.builder.fadd(even, odd)), self.times(scale, self.builder.fsub(even, odd))]
        return [*values, g[2]]

    def outputs(self, m: Values) -> Values:
        """Return A^T m: four outputs on a line from six products."""
        add, sub = self.builder.fadd, self.builder.fsub
        even_near, odd_near, even_far, odd_far = add(m[1], m[2]), sub(m[1], m[2]), add(m[3], m[4]), sub(m[3], m[4])
        return [
            add(m[0], add(even_near, even_far)),
            self.scaled(self.times(NEAR, odd_near), FAR, odd_far),
            self.scaled(self.times(NEAR**2, even_near), FAR**2, even_far),
            add(m[5], self.scaled(self.times(NEAR**3, odd_near), FAR**3, odd_far)),
        ]


def _square(rows: list[Values], line: Any) -> list[Values]:
    """Apply a transformation of lines to the columns and then to the rows of a square."""
    columns = [line([row[x] for row in rows]) for x in range(len(rows[0]))]
    return [line([column[y] for column in columns]) for y in range(len(columns[0]))]


def filter_tile(columns: int) -> Any:
    """Return the intrinsic ``(g, at, out, place, step)``: out[place + p * step + c] = (G g G^T)[p], p = 0 .. 35.

    Tap k of filter c is g[k, at + c], c = 0 .. columns - 1; computed in float64.
    """

    @intrinsic
    def transform(typing_context: Any, g: Any, at: Any, out: Any, place: Any, step: Any) -> Any:
        element, size = _element(g)
        vector, wide = ir.VectorType(element, columns), ir.VectorType(ir.DoubleType(), columns)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source, target = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 2))
            first, leading, arithmetic = (
                builder.gep(source.data, [args[1]]),
                _leading(builder, source, size),
                _Lanes(builder, wide, 8),
            )
            values = [
                _load(builder, _step(builder, first, ir.Constant(I64, 0), leading, k), vector, size)
                for k in range(TAPS * TAPS)
            ]
            if size == 4:
                values = [builder.fpext(value, wide) for value in values]
            for p, value in enumerate(_flat(_square(_rows(values, TAPS), arithmetic.taps))):
                narrow = builder.fptrunc(value, vector) if size == 4 else value
                _store(builder, narrow, _step(builder, target.data, args[3], args[4], p), vector, size)
            return context.get_dummy_value()

        return types.void(g, types.intp, out, types.intp, types.intp), generate

    return transform


def input_tile(columns: int) -> Any:
    """Return the intrinsic ``(x, at, table, nothing, out, place, step)``: out[place + p * step + c] = (B^T d B)[p].

    d[p] is x[at + table[p] + c], or nothing[c] where ``table[p]`` is below 0; p = 0 .. 35, c = 0 .. columns - 1.
    """

    @intrinsic
    def transform(typing_context: Any, x: Any, at: Any, table: Any, nothing: Any, out: Any, place: Any, step: Any) -> Any:
        element, size = _element(x)
        lanes = min(VECTOR_BYTES // size, columns)
        vector = ir.VectorType(element, lanes)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source, places, zeros, target = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 2, 3, 4))
            start, arithmetic = builder.gep(source.data, [args[1]]), _Lanes(builder, vector, size)
            read = [_pointer(builder, start, places.data, zeros.data, p) for p in range(PLACES)]
            write = [_step(builder, target.data, args[5], args[6], p) for p in range(PLACES)]
            for c in range(0, columns, lanes):
                values = [_load(builder, _move(builder, pointer, c), vector, size) for pointer in read]
                square = _square(_rows(values, INPUTS), arithmetic.inputs)
                for value, pointer in zip(_flat(square), write, strict=True):
                    _store(builder, value, _move(builder, pointer, c), vector, size)
            return context.get_dummy_value()

        return types.void(x, types.intp, table, nothing, out, types.intp, types.intp), generate

    return transform


def output_tile(columns: int, *, add: bool) -> Any:
    """Return the intrinsic ``(products, place, step, out, at, table, spare)``: out[at + table[q] + c] (+)= (A^T m A)[q].

    m[p] is products[place + p * step + c]; where ``table[q]`` is below 0 the output is written to ``spare``; q = 0 .. 15.
    """

    @intrinsic
    def transform(
        typing_context: Any, products: Any, place: Any, step: Any, out: Any, at: Any, table: Any, spare: Any
    ) -> Any:
        element, size = _element(products)
        lanes = min(VECTOR_BYTES // size, columns)
        vector = ir.VectorType(element, lanes)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source, target, places, lost = (_struct(context, builder, signature.args[n], args[n]) for n in (0, 3, 5, 6))
            start, arithmetic = builder.gep(target.data, [args[4]]), _Lanes(builder, vector, size)
            read = [_step(builder, source.data, args[1], args[2], p) for p in range(PLACES)]
            write = [_pointer(builder, start, places.data, lost.data, q) for q in range(OUTPUTS * OUTPUTS)]
            for c in range(0, columns, lanes):
                values = [_load(builder, _move(builder, pointer, c), vector, size) for pointer in read]
                square = _square(_rows(values, INPUTS), arithmetic.outputs)
                for value, pointer in zip(_flat(square), write, strict=True):
                    own = _move(builder, pointer, c)
                    total = builder.fadd(_load(builder, own, vector, size), value) if add else value
                    _store(builder, total, own, vector, size)
            return context.get_dummy_value()

        return types.void(products, types.intp, types.intp, out, types.intp, table, spare), generate

    return transform


def _rows(values: Values, length: int) -> list[Values]:
    return [values[first : first + length] for first in range(0, len(values), length)]


def _flat(rows: list[Values]) -> Values:
    return [value for row in rows for value in row]


def _move(builder: Any, pointer: Any, by: int) -> Any:
    return builder.gep(pointer, [ir.Constant(I64, by)])


def _step(builder: Any, data: Any, place: Any, step: Any, number: int) -> Any:
    return builder.gep(data, [builder.add(place, builder.mul(step, ir.Constant(I64, number)))])


def _pointer(builder: Any, start: Any, table: Any, otherwise: Any, number: int) -> Any:
    """Return ``start`` moved by an entry of a table, or ``otherwise`` where that is below 0."""
    by = builder.load(_move(builder, table, number))
    outside = builder.icmp_signed("<", by, ir.Constant(I64, 0))
    return builder.select(outside, otherwise, builder.gep(start, [by]))
