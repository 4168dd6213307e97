"""From two results to their comparison: pairs of points, their rows side by side, in memory if they are few."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from simprune.analysis.comparison import (
    Comparison,
    Differences,
    PairComparison,
    Shift,
    indicator_correlation,
    shift,
    smaller,
    uncertified,
)
from simprune.analysis.estimates import CONFIDENCE
from simprune.analysis.pairing import Digested, PairRows, choose_pairs, side_by_side
from simprune.analysis.quantiles import QuantileEstimate, quantile
from simprune.analysis.rows import IN_MEMORY
from simprune.analysis.streamed import Scan
from simprune.analysis.views import is_certified
from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.store.errors import CorruptSegment

Doubles = npt.NDArray[np.float64]

COLUMNS = ("trial", "gap_lower", "gap_upper", "status")
LEVELS = (0.05, 0.5, 0.95)
ERROR = 1.0 - CONFIDENCE


def compare(
    a: Digested, b: Digested, *, point_a: str | None = None, point_b: str | None = None, levels: tuple[float, ...] = LEVELS
) -> Comparison:
    """Return the comparison of all points of ``a`` and ``b`` that can be paired (``pairing.choose_pairs``)."""
    pairs = choose_pairs(a, b, point_a=point_a, point_b=point_b)
    return Comparison(
        name_a=a.name,
        name_b=b.name,
        confidence=CONFIDENCE,
        levels=levels,
        pairs=tuple(_compare(a, p, b, q, levels) for p, q in pairs),
    )


def _compare(a: Digested, p: Point, b: Digested, q: Point, levels: tuple[float, ...]) -> PairComparison:
    while True:
        try:
            return _Pair(a, p, b, q).compared(levels)
        except CorruptSegment:
            # The results leave the segment out from now on, so this ends.
            continue


Rows = Callable[[PairRows], npt.NDArray[np.bool_]]


def _both(rows: PairRows) -> npt.NDArray[np.bool_]:
    return is_certified(rows.a) & is_certified(rows.b)


def _view(value: Callable[[PairRows], Doubles], certified: Rows | None = None) -> Callable[[PairRows], Doubles]:
    return value if certified is None else lambda rows: value(rows)[certified(rows)]


VIEWS: Mapping[str, Callable[[PairRows], Doubles]] = {
    "a lower": _view(lambda rows: rows.a["gap_lower"]),
    "b lower": _view(lambda rows: rows.b["gap_lower"]),
    "a upper": _view(lambda rows: rows.a["gap_upper"], _both),
    "b upper": _view(lambda rows: rows.b["gap_upper"], _both),
    "least": _view(lambda rows: np.asarray(rows.b["gap_lower"] - rows.a["gap_upper"]), lambda rows: is_certified(rows.a)),
    "attained": _view(lambda rows: np.asarray(rows.b["gap_lower"] - rows.a["gap_lower"])),
    "most": _view(lambda rows: np.asarray(rows.b["gap_upper"] - rows.a["gap_lower"]), lambda rows: is_certified(rows.b)),
}


class _Pair:
    """The rows of two points side by side, in memory if they are few."""

    def __init__(self, a: Digested, p: Point, b: Digested, q: Point) -> None:
        self._sources = (a, p, b, q)
        self._counts = np.zeros(4, dtype=np.int64)
        n_rows = sum(stop - first for results, point in ((a, p), (b, q)) for first, stop in results.completed(point))
        self._kept = list(self._read()) if 8 * len(COLUMNS) * n_rows <= IN_MEMORY else None
        self._scan = Scan(tuple(VIEWS), self._chunks)
        self._counted = False

    def compared(self, levels: tuple[float, ...]) -> PairComparison:
        a, p, b, q = self._sources
        columns = self._scan.columns
        estimates = self._scan.ask(
            lambda: {name: tuple(quantile(columns[name], level, error=ERROR) for level in levels) for name in VIEWS}
        )
        n = len(columns["attained"])
        if not n:
            raise InputError(
                f"points must have trials in common, {a.digest(p)[:16]} and {b.digest(q)[:16]} have none; run more of them"
            )
        certified = len(columns["a upper"])
        sides = ("lower", "upper") if certified else ("lower",)
        return PairComparison(
            a=p,
            b=q,
            digest_a=a.digest(p),
            digest_b=b.digest(q),
            pairs=n,
            certified=certified,
            smaller=smaller(n, len(columns["least"]), len(columns["most"]), *self._counts.tolist()),
            differences=Differences(
                least=estimates["least"] if len(columns["least"]) else uncertified("A"),
                attained=estimates["attained"],
                most=estimates["most"] if len(columns["most"]) else uncertified("B"),
            ),
            shifts=tuple(shift for side in sides for shift in self._shifts(side, estimates)),
        )

    def _shifts(self, side: str, estimates: Mapping[str, tuple[QuantileEstimate, ...]]) -> list[Shift]:
        ours, theirs = estimates[f"a {side}"], estimates[f"b {side}"]
        found = [(a.value or 0.0, b.value or 0.0) for a, b in zip(ours, theirs, strict=True)]
        correlations = self._correlations(side, found)
        return [shift(side, a, b, r) for a, b, r in zip(ours, theirs, correlations, strict=True)]

    def _correlations(self, side: str, at: list[tuple[float, float]]) -> list[float]:
        """Return the correlation of the events A <= its quantile and B <= its quantile, at every level."""
        counts = np.zeros((len(at), 4), dtype=np.int64)
        for rows in self._pieces():
            a, b = VIEWS[f"a {side}"](rows), VIEWS[f"b {side}"](rows)
            for i, (first, second) in enumerate(at):
                below_a, below_b = a <= first, b <= second
                events = (below_a & below_b, below_a, below_b)
                counts[i] += [*(int(np.count_nonzero(event)) for event in events), len(a)]
        return [indicator_correlation(*row) for row in counts.tolist()]

    def _chunks(self, names: tuple[str, ...]) -> Iterator[Mapping[str, Doubles]]:
        for rows in self._pieces():
            if not self._counted:
                self._count(rows)
            yield {name: VIEWS[name](rows) for name in names}
        self._counted = True

    def _count(self, rows: PairRows) -> None:
        a, b = rows.a, rows.b
        events = (
            is_certified(a) & (a["gap_upper"] < b["gap_lower"]),
            is_certified(b) & (b["gap_upper"] < a["gap_lower"]),
            a["gap_lower"] < b["gap_lower"],
            a["gap_lower"] == b["gap_lower"],
        )
        self._counts += [int(np.count_nonzero(event)) for event in events]

    def _pieces(self) -> Iterator[PairRows]:
        return self._read() if self._kept is None else iter(self._kept)

    def _read(self) -> Iterator[PairRows]:
        a, p, b, q = self._sources
        return side_by_side(a.chunks(p, only=COLUMNS), b.chunks(q, only=COLUMNS))
