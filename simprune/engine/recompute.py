"""Checking stored rows by computing them again from nothing but what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simprune.backends.base import AbstractBackend
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.records import Ranges, TrialTable, columns_of
from simprune.trained.network import TrainedNetwork


class StoredResults(Protocol):
    """Results that tell their points, rows and trained networks."""

    @property
    def points(self) -> Sequence[Point]: ...

    def completed(self, point: Point) -> Ranges: ...

    def table(self, point: Point) -> TrialTable: ...

    def trained(self, point: Point) -> TrainedNetwork | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A stored value whose bits differ from those computed again; values as Python prints them."""

    point: Point
    trial: int
    column: str
    stored: str
    computed: str


def recompute(results: StoredResults, backend: AbstractBackend, *, n: int, seed: int) -> list[Mismatch]:
    """Compute ``n`` stored trials again, chosen at random (all, if there are fewer), and return what differs."""
    mismatches = []
    for point, trials in _choose(results, n, seed).items():
        table = results.table(point)
        for trial in trials:
            block = Block(points=(point,), first=trial, stop=trial + 1, trained=results.trained(point))
            computed = backend.run(block)[0].columns
            row = int(np.searchsorted(table["trial"], trial))
            for spec in columns_of(point):
                stored, again = table[spec.name][row], computed[spec.name][0]
                if np.asarray(stored, dtype=spec.dtype).tobytes() != again.tobytes():
                    mismatches.append(
                        Mismatch(point=point, trial=trial, column=spec.name, stored=str(stored), computed=str(again))
                    )
    return mismatches


def _choose(results: StoredResults, n: int, seed: int) -> dict[Point, list[int]]:
    """Return the chosen trials of every point; every stored row is equally likely."""
    ranges = [(point, first, stop) for point in results.points for first, stop in results.completed(point)]
    ends = np.cumsum([stop - first for _, first, stop in ranges], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    rows = np.sort(np.random.default_rng(seed).choice(total, size=min(n, total), replace=False, shuffle=False))
    chosen: dict[Point, list[int]] = {}
    for row in rows.tolist():
        index = int(np.searchsorted(ends, row, side="right"))
        point, _, stop = ranges[index]
        chosen.setdefault(point, []).append(stop - (int(ends[index]) - row))
    return chosen
