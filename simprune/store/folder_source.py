"""Reading a results folder, also while a run is writing to it; needs no lock."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.records import Column, Ranges
from simprune.store import failures, networks, record, stops
from simprune.store.coverage import Coverage
from simprune.store.errors import CorruptSegment, StoreError
from simprune.store.failures import still_failed
from simprune.store.segment import PartEntry, read_columns, read_entries
from simprune.store.source import AbstractSource
from simprune.trained.network import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """The trials ``first .. stop - 1`` that are taken from a part (the rest is in an earlier part)."""

    path: Path
    entry: PartEntry
    first: int
    stop: int


class FolderSource(AbstractSource):
    """What was committed when this was made; segments that vanish or are damaged later are left out."""

    def __init__(self, folder: Path) -> None:
        found = record.read(folder)
        if found is None:
            raise InputError(f"{folder} must be a results folder, it has no {record.FILE}; give the path of results")
        self.record = found
        self._folder = folder
        self._entries: dict[Path, tuple[PartEntry, ...]] = {}
        self.problems: dict[str, str] = {}
        for path in sorted((folder / "segments").glob("seg-*.h5")):
            self._scan(path)
        self._index()
        self.stops = stops.read(folder)

    def completed(self, digest: str) -> Ranges:
        return self._coverage.ranges(digest)

    def pieces(self, digest: str, point: Point, *, names: Sequence[str]) -> Iterator[Mapping[str, Column]]:
        for piece in self._slices.get(digest, ()):
            try:
                columns = read_columns(piece.path, piece.entry, point, names=names)
            except CorruptSegment as error:
                self.problems[piece.path.name] = str(error)
                del self._entries[piece.path]
                self._index()
                raise
            rows = slice(piece.first - piece.entry.first, piece.stop - piece.entry.first)
            yield {name: column[rows] for name, column in columns.items()}

    def network(self, sha256: str) -> TrainedNetwork:
        return networks.load_network(self._folder, sha256, origin=self.record.networks.get(sha256, "unknown"))

    def _scan(self, path: Path) -> None:
        try:
            entries = read_entries(path)
        except FileNotFoundError:
            return
        except (CorruptSegment, StoreError) as error:
            self.problems[path.name] = str(error)
            return
        if {entry.digest for entry in entries} <= set(self.record.digests):
            self._entries[path] = entries
        else:
            self.problems[path.name] = f"{path.name} holds rows of a point that is not in the design"

    def _index(self) -> None:
        """Assign every trial to the first segment that holds it."""
        self._coverage = Coverage()
        self._slices: dict[str, list[_Slice]] = {}
        for path, entries in self._entries.items():
            for entry in entries:
                for first, stop in self._coverage.missing(entry.digest, entry.first, entry.stop):
                    piece = _Slice(path=path, entry=entry, first=first, stop=stop)
                    self._slices.setdefault(entry.digest, []).append(piece)
                self._coverage.add(entry.digest, entry.first, entry.stop)
        for slices in self._slices.values():
            slices.sort(key=lambda piece: piece.first)
        self.failed = still_failed(failures.read(self._folder), self._coverage)
