"""The store of a run: a folder of small finished HDF5 files, written by one process, read by any."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.records import Ranges, TrialBatch, TrialTable
from simprune.store import failures, networks, record, stops
from simprune.store.base import AbstractStore
from simprune.store.coalesce import joined, n_bytes
from simprune.store.coverage import Coverage
from simprune.store.differences import differences
from simprune.store.errors import CorruptSegment, StoreError
from simprune.store.failures import FailedTrials, still_failed
from simprune.store.files import TEMPORARY, remove_temporaries, storing, sync_directory, write_atomic
from simprune.store.lock import WriterLock
from simprune.store.provenance import environment
from simprune.store.record import RunRecord
from simprune.store.results import open_results
from simprune.store.segment import encode, read_entries
from simprune.store.stops import Stop

LOCK = "lock"
SEGMENTS = "segments"
CLUSTER = "cluster"  # keys and logs of workers on other machines
COALESCE_BYTES = 4 << 20
COALESCE_SECONDS = 5.0


class FolderStore(AbstractStore):
    """The one writer of a results folder; leave it with ``close`` or as a context manager.

    Rows survive any kill once they are committed: by ``flush``, by ``close``, or by an ``append`` that finds 4 MiB
    waiting or the last commit 5 s ago. ``completed`` counts waiting rows too, because they need not be computed again
    in this process.
    """

    def __init__(self, folder: Path, *, lock: WriterLock, record: RunRecord) -> None:
        self._folder, self._lock, self._record = folder, lock, record
        self._digests = frozenset(record.digests)
        self._coverage = Coverage()
        self._waiting: list[TrialBatch] = []
        self._waiting_bytes = 0
        self._committed_at = time.monotonic()
        self._sequence = 0
        self._open = True
        self.quarantined: tuple[str, ...] = ()
        self._recover()
        self._failures = failures.read(folder)

    @classmethod
    def open(cls, path: str | Path, design: Design, *, provenance: Mapping[str, Any]) -> Self:
        """Create the folder for ``design`` or continue it; ``provenance`` adds to what is recorded of the environment.

        Raises:
            InputError: the folder holds something else, another design or a newer format.
            StoreError: another process is writing to it, or the system refuses.

        """
        folder = Path(path)
        _admit(folder)
        with storing(folder):
            (folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
            (folder / networks.FOLDER).mkdir(exist_ok=True)
        lock = WriterLock(folder / LOCK)
        try:
            settled = _settle(folder, design, environment() | dict(provenance))
            return cls(folder, lock=lock, record=settled)
        except BaseException:
            lock.release()
            raise

    @property
    def record(self) -> RunRecord:
        """What the folder says about the run."""
        return self._record

    @property
    def failed(self) -> tuple[FailedTrials, ...]:
        """Trials that failed and were not computed since."""
        return still_failed(self._failures, self._coverage)

    def completed(self, point: Point) -> Ranges:
        return self._coverage.ranges(point.digest())

    def append(self, batches: Sequence[TrialBatch]) -> None:
        """Accept rows and commit what waits when it is enough; rows that are there already are dropped.

        Raises:
            StoreError: the commit failed; the rows still wait, and ``flush`` tries again.

        """
        if not self._open:
            raise StoreError(f"results folder {self._folder} must be open to take rows, it was closed; open it again")
        for batch in batches:
            self._accept(batch)
            waited = time.monotonic() - self._committed_at
            if self._waiting_bytes >= COALESCE_BYTES or (self._waiting and waited >= COALESCE_SECONDS):
                self.flush()

    def read(self, point: Point) -> TrialTable:
        self.flush()
        return open_results(self._folder, trusted=True).table(point)

    def rows(self, points: Sequence[Point], *, names: Sequence[str]) -> Iterator[tuple[Point, TrialTable]]:
        """Yield the stored columns ``names`` of points in trial order, a bounded number of rows at a time."""
        self.flush()
        results = open_results(self._folder, trusted=True)
        try:
            for point in points:
                for rows in results.chunks(point, only=names):
                    yield point, rows
        except CorruptSegment as error:
            raise StoreError(f"{self._folder} must not change while it is read, but {error}; run again") from error

    def record_failures(self, failed: Sequence[FailedTrials]) -> None:
        """Write down trials that could not be computed; they leave the list when they are."""
        self._failures = still_failed((*self._failures, *failed), self._coverage)
        write_atomic(self._folder / failures.FILE, failures.to_json(self._failures), replace=True)

    def record_stops(self, found: Sequence[Stop]) -> None:
        """Write down why points have enough trials."""
        if tuple(found) != stops.read(self._folder):
            write_atomic(self._folder / stops.FILE, stops.to_json(found), replace=True)

    def flush(self) -> None:
        """Commit all waiting rows as one segment; when this returns they survive any kill."""
        if not self._waiting:
            return
        path = self._folder / SEGMENTS / f"seg-{self._sequence:012d}.h5"
        # A number is used once, even if the attempt fails or is interrupted.
        self._sequence += 1
        write_atomic(path, encode(joined(self._waiting)))
        self._waiting, self._waiting_bytes = [], 0
        self._committed_at = time.monotonic()

    def close(self) -> None:
        """Commit what waits and let the next writer in, also if the commit fails."""
        try:
            if self._open:
                self.flush()
                if self.failed != self._failures:
                    self.record_failures(())
        finally:
            self._open = False
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StoreError:
            # The first error tells what happened; the second would hide it.
            if error is None:
                raise

    def _accept(self, batch: TrialBatch) -> None:
        digest = batch.point.digest()
        if digest not in self._digests:
            raise InputError(f"rows must be of a point of the folder's design, got point {digest[:16]}; open another folder")
        for first, stop in self._coverage.missing(digest, batch.first, batch.stop):
            part = batch.rows(first, stop)
            self._waiting.append(part)
            self._waiting_bytes += n_bytes(part)
        self._coverage.add(digest, batch.first, batch.stop)

    def _recover(self) -> None:
        """Delete what interrupted writes left, verify every segment, set bad ones aside."""
        segments = self._folder / SEGMENTS
        with storing(self._folder):
            for directory in (self._folder, segments, self._folder / networks.FOLDER):
                remove_temporaries(directory)
            names = sorted(path.name for path in segments.iterdir())
        for name in names:
            prefix, _, number = name.removesuffix(".h5").partition("-")
            if prefix not in ("seg", "bad") or not number.isdigit():
                continue
            self._sequence = max(self._sequence, int(number) + 1)
            if prefix == "seg":
                self._admit_segment(segments / name)

    def _admit_segment(self, path: Path) -> None:
        try:
            entries = read_entries(path)
            if strange := {entry.digest for entry in entries} - self._digests:
                raise CorruptSegment(f"{path.name} holds rows of point {min(strange)[:16]}, which is not in the design")
        except CorruptSegment as error:
            aside = path.with_name(path.name.replace("seg-", "bad-", 1))
            with storing(path):
                path.rename(aside)
                sync_directory(path.parent)
            told = f"{error}; it was set aside as {aside.name} and its trials will be computed again"
            self.quarantined = (*self.quarantined, told)
            return
        for entry in entries:
            self._coverage.add(entry.digest, entry.first, entry.stop)


def _admit(folder: Path) -> None:
    """Refuse a path that is neither new, empty, nor a results folder."""
    ours = {LOCK, SEGMENTS, networks.FOLDER, record.FILE, failures.FILE, stops.FILE, CLUSTER}
    try:
        if not folder.exists():
            return
        if not folder.is_dir():
            raise InputError(f"results must go into a folder, {folder} is a file; choose another path")
        names = {path.name for path in folder.iterdir()}
        begun = all(name in ours or name.startswith(TEMPORARY) for name in names)
        empty = begun and not any((folder / SEGMENTS).glob("seg-*"))
    except OSError as error:
        raise StoreError(f"{folder} must be readable, the system said '{error.strerror}'; choose another folder") from error
    if record.FILE not in names and not empty:
        raise InputError(f"{folder} must be empty or a results folder, it has no {record.FILE}; choose another folder")


def _settle(folder: Path, design: Design, provenance: Mapping[str, Any]) -> RunRecord:
    """Write or update ``run.json`` and the networks; refuse another design."""
    new = record.record_of(design, provenance=provenance)
    old = record.read(folder)
    if old is not None:
        if old.fingerprint != new.fingerprint:
            raise InputError(_other_design(folder, old, new))
        new = record.continue_record(old, new)
    networks.save_networks(folder, design.networks)
    if new != old:
        write_atomic(folder / record.FILE, record.to_json(new).encode(), replace=True)
    return new


def _other_design(folder: Path, old: RunRecord, new: RunRecord) -> str:
    start = f"results folder {folder} must hold the same design, but it was made by another one"
    if {p.digest() for p in old.points} == set(new.digests):
        made = old.provenance.get("simprune_version", "unknown")
        return f"{start}: simprune {made} computed the same points to other numbers; choose another folder"
    return f"{start}: different are {differences(old.points, new.points)}; choose another folder"
