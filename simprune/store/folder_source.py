"""Reading a results folder, also while a run is writing to it; needs no lock."""

from collections.abc import Collection, Iterator, Mapping, Sequence
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

SEGMENTS = "segments"
Scanned = tuple[PartEntry, ...] | str


def scan(
    folder: Path, digests: Collection[str], *, known: Collection[str] = (), foreign: bool = False
) -> Mapping[str, Scanned]:
    """Verify the segments of a folder but the ``known`` ones; return the parts of each, or why it cannot be read."""
    found: dict[str, Scanned] = {}
    for path in sorted((folder / SEGMENTS).glob("seg-*.h5")):
        if path.name not in known:
            try:
                entries = read_entries(path, foreign=foreign)
            except FileNotFoundError:
                continue
            except (CorruptSegment, StoreError) as error:
                found[path.name] = str(error)
                continue
            known_points = {entry.digest for entry in entries} <= set(digests)
            found[path.name] = entries if known_points else f"{path.name} holds rows of a point that is not in the design"
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The trials ``first .. stop - 1`` that are taken from a part (the rest is in an earlier part)."""

    path: Path
    entry: PartEntry
    first: int
    stop: int


class FolderSource(AbstractSource):
    """What was committed when this was made; segments that vanish or are damaged later are left out.

    ``scanned`` tells the parts of every segment, or why it cannot be read, where they are known; other segments are not
    looked at then.
    """

    def __init__(self, folder: Path, *, scanned: Mapping[str, Scanned] | None = None) -> None:
        found = record.read(folder)
        if found is None:
            raise InputError(f"{folder} must be a results folder, it has no {record.FILE}; give the path of results")
        self.record = found
        self._folder = folder
        self._entries: dict[Path, tuple[PartEntry, ...]] = {}
        self.problems: dict[str, str] = {}
        self._take(scan(folder, found.digests) if scanned is None else scanned)
        self._index()
        self.stops = stops.read(folder)

    @property
    def entries(self) -> Mapping[Path, tuple[PartEntry, ...]]:
        """The parts of every readable segment."""
        return self._entries

    def completed(self, digest: str) -> Ranges:
        return self._coverage.ranges(digest)

    def pieces(self, digest: str, point: Point, *, names: Sequence[str]) -> Iterator[Mapping[str, Column]]:
        for piece in self._slices.get(digest, ()):
            yield self.rows(piece, point, names=names)

    def rows(self, piece: Slice, point: Point, *, names: Sequence[str]) -> Mapping[str, Column]:
        """Return columns of one slice; CorruptSegment if its segment broke, which is left out from now on."""
        try:
            columns = read_columns(piece.path, piece.entry, point, names=names)
        except CorruptSegment as error:
            self.problems[piece.path.name] = str(error)
            del self._entries[piece.path]
            self._index()
            raise
        rows = slice(piece.first - piece.entry.first, piece.stop - piece.entry.first)
        return {name: column[rows] for name, column in columns.items()}

    def slices(self) -> tuple[Slice, ...]:
        """Return where all rows lie, each once."""
        return tuple(piece for pieces in self._slices.values() for piece in pieces)

    def scanned(self) -> dict[str, Scanned]:
        """Return what is known of the segments."""
        return {**{path.name: parts for path, parts in self._entries.items()}, **self.problems}

    def network(self, sha256: str) -> TrainedNetwork:
        return networks.load_network(self._folder, sha256, origin=self.record.networks.get(sha256, "unknown"))

    def _take(self, scanned: Mapping[str, Scanned]) -> None:
        for name, parts in scanned.items():
            if isinstance(parts, str):
                self.problems[name] = parts
            else:
                self._entries[self._folder / SEGMENTS / name] = parts

    def _index(self) -> None:
        """Assign every trial to the first segment that holds it."""
        self._coverage = Coverage()
        self._slices: dict[str, list[Slice]] = {}
        for path, entries in self._entries.items():
            for entry in entries:
                for first, stop in self._coverage.missing(entry.digest, entry.first, entry.stop):
                    piece = Slice(path=path, entry=entry, first=first, stop=stop)
                    self._slices.setdefault(entry.digest, []).append(piece)
                self._coverage.add(entry.digest, entry.first, entry.stop)
        for slices in self._slices.values():
            slices.sort(key=lambda piece: piece.first)
        self.failed = still_failed(failures.read(self._folder), self._coverage)
