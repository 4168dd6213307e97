"""The rows of a point as ordered columns: few rows are sorted in memory, many are streamed, with the same answers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from simprune.analysis.ordered import Ordered
from simprune.analysis.promises import product_view
from simprune.analysis.relative import relative_views
from simprune.analysis.streamed import Scan
from simprune.analysis.summary import Results
from simprune.analysis.tally import NEEDS, Tally
from simprune.analysis.views import LOWER, UPPER, View
from simprune.design.point import Point
from simprune.records import TrialTable, column_shape, columns_of
from simprune.store.errors import CorruptSegment
from simprune.trained.network import TrainedNetwork

Doubles = npt.NDArray[np.float64]
Answer = TypeVar("Answer")

IN_MEMORY = 64 << 20
"""Bytes of one point's rows that may be in memory at a time."""


class PointRows:
    """Ordered columns by the name of their view, and the tally of the same rows.

    Streamed columns hold placeholders until they are read: every use belongs into ``ask``.
    """

    def __init__(self, tally: Tally, columns: Mapping[str, Ordered], scan: Scan | None = None) -> None:
        self.tally = tally
        self._columns = columns
        self._scan = scan

    def __getitem__(self, name: str) -> Ordered:
        return self._columns[name]

    def ask(self, question: "Callable[[PointRows], Answer]") -> Answer:
        """Return the answer to a question; it may be asked more than once, and only the last answer counts."""
        return question(self) if self._scan is None else self._scan.ask(lambda: question(self))


def all_views(point: Point, trained: TrainedNetwork | None) -> dict[str, View]:
    """Return all that is ordered of a point's rows."""
    return {"lower": LOWER, "upper": UPPER, "product": product_view(point.network), **relative_views(point.network, trained)}


def rows_of_table(table: TrialTable, views: Mapping[str, View]) -> PointRows:
    """Return rows that are in memory."""
    tally = Tally(table.point)
    if set(NEEDS) <= set(table):
        tally.add(table)
    return PointRows(tally, {name: np.sort(view.values(table)) for name, view in views.items()})


def ask_rows(
    results: Results,
    point: Point,
    views: Mapping[str, View],
    question: Callable[[PointRows], Answer],
    *,
    tallied: bool = True,
) -> Answer:
    """Return the answer of a point's rows to a question; ``tallied`` tells whether it needs the tally."""
    needs = _needs(views.values(), NEEDS if tallied else ())
    while True:
        try:
            if _n_bytes(results, point, needs) <= IN_MEMORY:
                return rows_of_table(results.table(point, only=needs), views).ask(question)
            return _streamed(results, point, views, tallied=tallied).ask(question)
        except CorruptSegment:
            # The results leave the segment out from now on, so this ends.
            continue


def _streamed(results: Results, point: Point, views: Mapping[str, View], *, tallied: bool) -> PointRows:
    tally = Tally(point)
    unread = tallied

    def chunks(names: tuple[str, ...]) -> Iterator[Mapping[str, Doubles]]:
        nonlocal unread
        counting, unread = unread, False
        needs = _needs([views[name] for name in names], NEEDS if counting else ())
        for table in results.chunks(point, only=needs):
            if counting:
                tally.add(table)
            yield {name: views[name].values(table) for name in names}

    scan = Scan(tuple(views), chunks)
    return PointRows(tally, scan.columns, scan)


def _needs(views: Iterable[View], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([name for view in views for name in view.needs] + list(more)))


def _n_bytes(results: Results, point: Point, names: tuple[str, ...]) -> int:
    row = sum(int(np.prod(column_shape(spec, point, 1))) * 8 for spec in columns_of(point) if spec.name in names)
    return row * sum(stop - first for first, stop in results.completed(point))
