"""Following a results folder that a run is writing to, without ever disturbing it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from simprune.model.errors import InputError
from simprune.records import Column
from simprune.store.errors import CorruptSegment
from simprune.store.folder_source import SEGMENTS, FolderSource
from simprune.store.guard import inspected


class GrowingResults:
    """A results folder seen again and again; every segment is read once."""

    def __init__(self, path: str | Path) -> None:
        self._folder = Path(path)
        if not self._folder.is_dir():
            raise InputError(f"watching needs a results folder, {self._folder} is none; check the path")
        self.source = FolderSource(self._folder, scanned={})

    def new_rows(self, *, names: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Column]]]:
        """Yield the digest of a point and columns of its rows that appeared since the last call.

        Raises:
            InputError: the folder is no results folder (any more), or holds what results never contain.

        """
        known = {path.name for path in self.source.entries} | set(self.source.problems)
        seen = set(self.source.slices())
        there = {path.name for path in (self._folder / SEGMENTS).glob("seg-*.h5")}
        scanned = inspected(self._folder, known=sorted(known)) if there - known else {}
        self.source = FolderSource(self._folder, scanned={**self.source.scanned(), **scanned})
        points = dict(zip(self.source.record.digests, self.source.record.points, strict=True))
        for piece in self.source.slices():
            if piece not in seen:
                digest = piece.entry.digest
                try:
                    yield digest, self.source.rows(piece, points[digest], names=names)
                except CorruptSegment:
                    continue
