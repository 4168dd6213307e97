"""Reading results: the same for a folder (finished or still growing) and for a packed file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simprune.design.point import Point
from simprune.model.errors import InputError, nearest
from simprune.model.network import FixedTarget
from simprune.records import Column, Ranges, TrialTable, column_shape, columns_of
from simprune.rng import canonical_json
from simprune.store.errors import CorruptSegment
from simprune.store.failures import FailedTrials
from simprune.store.folder_source import FolderSource
from simprune.store.guard import inspected
from simprune.store.packed import PackedSource
from simprune.store.source import AbstractSource
from simprune.store.stops import Stop
from simprune.trained.network import TrainedNetwork


class Results:
    """The rows that were there when the results were opened, point by point."""

    def __init__(self, source: AbstractSource) -> None:
        self._source = source
        record = source.record
        self.points: tuple[Point, ...] = record.points
        self.name: str = record.name
        self.trials: int = record.trials
        self.epsilons: tuple[float, ...] = record.epsilons
        self.delta: float = record.delta
        self.text: str = record.text
        self.provenance: Mapping[str, Any] = record.provenance
        pairs = zip(record.points, record.digests, strict=True)
        self._digests = {canonical_json(point.to_dict()): digest for point, digest in pairs}

    @property
    def failed(self) -> tuple[FailedTrials, ...]:
        """Trials that could not be computed, with reasons."""
        return self._source.failed

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Why points of an adaptive run have enough trials, empty for other runs."""
        return self._source.stops

    @property
    def problems(self) -> Mapping[str, str]:
        """Unreadable segments by name, with reasons; their rows are left out."""
        return dict(self._source.problems)

    def digest(self, point: Point) -> str:
        """Return the digest under which the rows of ``point`` are stored."""
        digest = self._digests.get(canonical_json(point.to_dict()))
        if digest is None:
            raise InputError("the point must be one of the results, got another; take it from results.points")
        return digest

    def completed(self, point: Point) -> Ranges:
        """Return the trials of ``point`` that can be read, as disjoint half-open ranges."""
        return self._source.completed(self.digest(point))

    def table(self, point: Point, *, only: Sequence[str] | None = None) -> TrialTable:
        """Return the rows of ``point`` in trial order, with all columns or with ``trial`` and those named in ``only``."""
        known = [spec.name for spec in columns_of(point)]
        wanted = known if only is None else ["trial", *(name for name in only if name != "trial")]
        _check_names(point, wanted)
        return TrialTable(point=point, columns=self._columns(point, wanted))

    def chunks(self, point: Point, *, only: Sequence[str]) -> Iterator[TrialTable]:
        """Yield the columns named in ``only`` in trial order, a bounded number of rows at a time.

        Raises:
            CorruptSegment: a segment broke in between. It is left out from now on: forget the rows and begin again.

        """
        _check_names(point, only)
        for piece in self._source.pieces(self.digest(point), point, names=only):
            yield TrialTable(point=point, columns=piece)

    def column(self, point: Point, name: str) -> Column:
        """Return one column of ``point`` in trial order without reading the others.

        Columns of one table stay aligned even if a segment breaks in between: for several take ``table(point, only=...)``.
        """
        _check_names(point, [name])
        return self._columns(point, [name])[name]

    def trained(self, point: Point) -> TrainedNetwork | None:
        """Return the weights of a fixed target, None for a sampled one."""
        target = point.network.target
        return self._source.network(target.sha256) if isinstance(target, FixedTarget) else None

    def _columns(self, point: Point, names: Sequence[str]) -> dict[str, Column]:
        while True:
            try:
                return self._gather(point, names)
            except CorruptSegment:
                # The source leaves the segment out from now on, so this ends.
                continue

    def _gather(self, point: Point, names: Sequence[str]) -> dict[str, Column]:
        digest = self.digest(point)
        n_rows = sum(stop - first for first, stop in self._source.completed(digest))
        specs = [spec for spec in columns_of(point) if spec.name in names]
        columns: dict[str, Column] = {
            spec.name: np.empty(column_shape(spec, point, n_rows), dtype=spec.dtype) for spec in specs
        }
        at = 0
        for piece in self._source.pieces(digest, point, names=names):
            stop = at + len(piece[names[0]])
            for name in names:
                columns[name][at:stop] = piece[name]
            at = stop
        return columns


def _check_names(point: Point, names: Sequence[str]) -> None:
    known = [spec.name for spec in columns_of(point)]
    for name in names:
        if name not in known:
            raise InputError(f"a column must be one of the point's, got '{name}'; {nearest(name, known)}")


def open_results(path: str | Path, *, trusted: bool = False) -> Results:
    """Open a results folder, also of a run that is still writing, or a packed file.

    Another process looks at it first (a third of a second), so that a file made to harm is refused with a sentence;
    ``trusted`` leaves that out, for results that you made.

    Raises:
        InputError: there is nothing, or something else, at ``path``.

    """
    return Results(open_source(Path(path), trusted=trusted))


def open_source(path: Path, *, trusted: bool) -> AbstractSource:
    """Return what results are read from; InputError as ``open_results``."""
    if path.is_dir():
        return FolderSource(path, scanned=None if trusted else inspected(path))
    if path.is_file():
        if not trusted:
            inspected(path)
        return PackedSource(path)
    if path.exists():
        raise InputError(f"results must be a folder or a packed file, {path} is a pipe or device; check the path")
    raise InputError(f"results must be a folder or a packed file, {path} does not exist; check the path")
