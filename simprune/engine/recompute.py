"""Checking stored rows by computing them again from nothing but what is stored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simprune.backends.base import AbstractBackend
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.records import Ranges, TrialTable, columns_of
from simprune.store.errors import CorruptSegment, DamagedResults
from simprune.trained.network import TrainedNetwork


class StoredResults(Protocol):
    """Results that tell their points, rows and trained networks."""

    @property
    def points(self) -> Sequence[Point]: ...

    def completed(self, point: Point) -> Ranges: ...

    def chunks(self, point: Point, *, only: Sequence[str]) -> Iterator[TrialTable]: ...

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
    mismatches: list[Mismatch] = []
    for point, trials in _choose(results, n, seed).items():
        trained, n_found = results.trained(point), 0
        for rows in _chunks(results, point):
            for row in np.flatnonzero(np.isin(rows["trial"], trials)).tolist():
                mismatches += _compare(rows, row, backend, trained)
                n_found += 1
        if n_found != len(trials):
            raise DamagedResults(f"results must not change while they are verified, {len(trials) - n_found} rows are gone")
    return mismatches


def _chunks(results: StoredResults, point: Point) -> Iterator[TrialTable]:
    try:
        yield from results.chunks(point, only=[spec.name for spec in columns_of(point)])
    except CorruptSegment as error:
        raise DamagedResults(f"results must not change while they are verified, {error}; verify them again") from error


def _compare(rows: TrialTable, row: int, backend: AbstractBackend, trained: TrainedNetwork | None) -> Iterator[Mismatch]:
    point, trial = rows.point, int(rows["trial"][row])
    computed = backend.run(Block(points=(point,), first=trial, stop=trial + 1, trained=trained))[0].columns
    for spec in columns_of(point):
        stored, again = rows[spec.name][row], computed[spec.name][0]
        if np.asarray(stored, dtype=spec.dtype).tobytes() != again.tobytes():
            yield Mismatch(point=point, trial=trial, column=spec.name, stored=str(stored), computed=str(again))


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
