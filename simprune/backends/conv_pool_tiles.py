"""Vector code of maxima over windows of images: columns stand in the lanes, a table says where a window's rows lie.

Arrays are flat. Row k of a window begins at ``at + table[k]``; ties go to the first.
``place`` is where the pooled row begins. Every lane does the same operations in the same order, whatever the vector width.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from simprune.backends.tiles import I32, I64, VECTOR_BYTES, _element, _load, _splat, _store, _struct


class _Columns:
    """One vector of columns of a window's rows."""

    def __init__(self, builder: Any, array_type: Any, columns: int, table: Any) -> None:
        self.builder, self._table, self._n_rows = builder, table.data, builder.extract_value(table.shape, 0)
        element, self._size = _element(array_type)
        self.lanes = min(VECTOR_BYTES // self._size, columns)
        self.vector, self._numbers = ir.VectorType(element, self.lanes), ir.VectorType(I32, self.lanes)

    @contextmanager
    def rows(self, first: int) -> Iterator[Any]:
        """Loop over the rows of the window from ``first`` on."""
        with cgutils.for_range(self.builder, self._n_rows, start=ir.Constant(I64, first)) as loop:
            yield loop.index

    def variable(self, value: Any) -> Any:
        """Return a place for values such as ``value``, which it holds."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def row(self, start: Any, k: Any) -> Any:
        """Return where row k of the window begins."""
        return self.builder.gep(start, [self.builder.load(self.builder.gep(self._table, [k]))])

    def load(self, pointer: Any) -> Any:
        """Return the numbers there."""
        return _load(self.builder, pointer, self.vector, self._size)

    def store(self, value: Any, pointer: Any) -> None:
        """Write numbers there."""
        _store(self.builder, value, pointer, self.vector, self._size)

    def number(self, k: Any) -> Any:
        """Return k in all lanes."""
        return _splat(self.builder, self.builder.trunc(k, I32), self._numbers)

    def above(self, a: Any, b: Any) -> Any:
        """Return where a > b."""
        return self.builder.fcmp_ordered(">", a, b)

    def is_number(self, place: Any, k: Any) -> Any:
        """Return where the numbers of a variable are k."""
        return self.builder.icmp_signed("==", self.builder.load(place), self.number(k))

    def replace(self, place: Any, where: Any, value: Any) -> None:
        """Change a variable where it is said."""
        self.builder.store(self.builder.select(where, value, self.builder.load(place)), place)

    def largest(self, start: Any, follow: Callable[[Any, Any], None] | None = None) -> Any:
        """Return the variable of the largest numbers; ``follow(k, above)`` is told where row k is above those before."""
        top = self.variable(self.load(self.row(start, ir.Constant(I64, 0))))
        with self.rows(1) as k:
            value = self.load(self.row(start, k))
            above = self.above(value, self.builder.load(top))
            self.replace(top, above, value)
            if follow:
                follow(k, above)
        return top

    def first_largest(self, start: Any) -> tuple[Any, Any]:
        """Return the variables of the largest numbers and of their rows' numbers."""
        best = self.variable(self.number(ir.Constant(I64, 0)))
        top = self.largest(start, lambda k, above: self.replace(best, above, self.number(k)))
        return top, best

    def deviation(self, h: Any, dh: Any, k: Any, top: Any) -> Any:
        """Return (h - top) + dh of row k."""
        apart = self.builder.fsub(self.load(self.row(h, k)), self.builder.load(top))
        return self.builder.fadd(apart, self.load(self.row(dh, k)))

    def add_where(self, where: Any, value: Any, pointer: Any) -> None:
        """Add numbers there in some lanes."""
        before = self.load(pointer)
        self.store(self.builder.select(where, self.builder.fadd(before, value), before), pointer)


def _tile(columns: int, images: int, rows: int, body: Callable[..., None]) -> Callable[..., Any]:
    """Return what generates code from (images, at, table, place, pooled rows), so many images and rows."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        structs: list[Any] = [
            _struct(context, builder, kind, value) if isinstance(kind, types.Array) else None
            for kind, value in zip(signature.args, args, strict=True)
        ]
        at, table, place = args[images], structs[images + 1], args[images + 2]
        own = _Columns(builder, signature.args[0], columns, table)
        for column in range(0, columns, own.lanes):
            begins = [builder.add(start, ir.Constant(I64, column)) for start in (at, place)]
            sources = [builder.gep(image.data, begins[:1]) for image in structs[:images]]
            targets = [builder.gep(row.data, begins[1:]) for row in structs[images + 3 : images + 3 + rows]]
            body(own, *sources, *targets)
        return context.get_dummy_value()

    return generate


def max_tile(columns: int) -> Any:
    """Return the intrinsic ``(x, at, table, place, out)``: the largest number of every column."""

    def body(own: _Columns, x: Any, out: Any) -> None:
        own.store(own.builder.load(own.largest(x)), out)

    generate = _tile(columns, 1, 1, body)

    @intrinsic
    def pooled(typing_context: Any, x: Any, at: Any, table: Any, place: Any, out: Any) -> Any:
        return types.void(x, types.intp, table, types.intp, out), generate

    return pooled


def moved_tile(columns: int) -> Any:
    """Return the intrinsic ``(h, dh, at, table, place, out)``: by how much the largest number of h moves."""

    def body(own: _Columns, h: Any, dh: Any, out: Any) -> None:
        value = own.variable(own.load(own.row(dh, ir.Constant(I64, 0))))
        top = own.largest(h, lambda k, above: own.replace(value, above, own.load(own.row(dh, k))))
        with own.rows(0) as k:
            deviation = own.deviation(h, dh, k, top)
            own.replace(value, own.above(deviation, own.builder.load(value)), deviation)
        own.store(own.builder.load(value), out)

    generate = _tile(columns, 2, 1, body)

    @intrinsic
    def moved(typing_context: Any, h: Any, dh: Any, at: Any, table: Any, place: Any, out: Any) -> Any:
        return types.void(h, dh, types.intp, table, types.intp, out), generate

    return moved


def pull_tile(columns: int) -> Any:
    """Return the intrinsic ``(h, out, at, table, place, p)``: add p to the rows of out where h is largest."""

    def body(own: _Columns, h: Any, out: Any, p: Any) -> None:
        _, best = own.first_largest(h)
        given = own.load(p)
        with own.rows(0) as k:
            own.add_where(own.is_number(best, k), given, own.row(out, k))

    generate = _tile(columns, 2, 1, body)

    @intrinsic
    def pulled(typing_context: Any, h: Any, out: Any, at: Any, table: Any, place: Any, p: Any) -> Any:
        return types.void(h, out, types.intp, table, types.intp, p), generate

    return pulled


def pull_pair_tile(columns: int) -> Any:
    """Return the intrinsic ``(h, dh, p_out, e_out, at, table, place, p, e)``.

    p goes where the pruned network's number is largest, e to the target's place; where these differ, e - p goes to the
    target's place and p to the other.
    """

    def body(own: _Columns, h: Any, dh: Any, p_out: Any, e_out: Any, p: Any, e: Any) -> None:
        builder = own.builder
        value = own.variable(own.load(own.row(dh, ir.Constant(I64, 0))))
        best, moved = (own.variable(own.number(ir.Constant(I64, 0))) for _ in range(2))

        def follow(k: Any, above: Any) -> None:
            own.replace(best, above, own.number(k))
            own.replace(value, above, own.load(own.row(dh, k)))

        top = own.largest(h, follow)
        builder.store(builder.load(best), moved)
        with own.rows(0) as k:
            deviation = own.deviation(h, dh, k, top)
            above = own.above(deviation, builder.load(value))
            own.replace(value, above, deviation)
            own.replace(moved, above, own.number(k))
        given, difference = own.load(p), own.load(e)
        apart = builder.fsub(difference, given)
        with own.rows(0) as k:
            ours, theirs = own.is_number(best, k), own.is_number(moved, k)
            own.add_where(theirs, given, own.row(p_out, k))
            own_share = builder.select(theirs, difference, apart)
            own.add_where(builder.or_(ours, theirs), builder.select(ours, own_share, given), own.row(e_out, k))

    generate = _tile(columns, 4, 2, body)

    @intrinsic
    def pulled(
        typing_context: Any,
        h: Any,
        dh: Any,
        p_out: Any,
        e_out: Any,
        at: Any,
        table: Any,
        place: Any,
        p: Any,
        e: Any,
    ) -> Any:
        return types.void(h, dh, p_out, e_out, types.intp, table, types.intp, p, e), generate

    return pulled
