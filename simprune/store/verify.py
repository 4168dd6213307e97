"""Check stored rows against their checksums, and count them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simprune.model.errors import InputError
from simprune.records import columns_of
from simprune.store.coverage import Coverage, runs
from simprune.store.errors import CorruptSegment
from simprune.store.folder_source import SEGMENTS, FolderSource
from simprune.store.results import open_source
from simprune.store.source import AbstractSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at one place; ``ok`` is false where something must be mended."""

    ok: bool
    where: str
    text: str


def check(path: str | Path, *, trusted: bool = False) -> list[Finding]:
    """Verify every checksum of a results folder or packed file, count rows, and look for trials stored twice.

    ``trusted`` as for ``open_results``.

    Raises:
        InputError: ``path`` holds no results at all.

    """
    source = open_source(Path(path), trusted=trusted)
    segments = _segments(Path(path), source) if isinstance(source, FolderSource) else ()
    return [*segments, *_rows(source), *_networks(source), *_failed(source)]


def _segments(folder: Path, source: FolderSource) -> Iterator[Finding]:
    for path in sorted((folder / SEGMENTS).glob("bad-*")):
        yield Finding(ok=True, where=path.name, text="was damaged and set aside; its trials are computed again")
    for name, problem in source.problems.items():
        yield Finding(ok=False, where=name, text=f"{problem}; run the design again to compute its trials again")
    coverage = Coverage()
    for path, entries in source.entries.items():
        twice = 0
        for entry in entries:
            new = coverage.missing(entry.digest, entry.first, entry.stop)
            twice += entry.stop - entry.first - sum(stop - first for first, stop in new)
            coverage.add(entry.digest, entry.first, entry.stop)
        if twice:
            yield Finding(
                ok=True, where=path.name, text=f"{twice} of its rows are in an earlier segment too and are ignored"
            )


def _rows(source: AbstractSource) -> Iterator[Finding]:
    """Read every column of every point, which compares all checksums, and look at the trial indices."""
    for digest, point in zip(source.record.digests, source.record.points, strict=True):
        where = f"point {digest[:16]}"
        try:
            n_rows, found = 0, Coverage()
            for piece in source.pieces(digest, point, names=[spec.name for spec in columns_of(point)]):
                n_rows += len(piece["trial"])
                for first, stop in runs(piece["trial"]):
                    found.add(digest, first, stop)
            expected = source.completed(digest)
            if found.ranges(digest) != expected or n_rows != sum(stop - first for first, stop in expected):
                raise CorruptSegment("the trial indices of the rows are not those that are listed")
        except (CorruptSegment, InputError) as error:
            yield Finding(ok=False, where=where, text=str(error))
            continue
        yield Finding(ok=True, where=where, text=f"{n_rows} of {source.record.trials} trials, every checksum agrees")


def _networks(source: AbstractSource) -> Iterator[Finding]:
    for sha256 in source.record.networks:
        try:
            source.network(sha256)
        except InputError as error:
            yield Finding(ok=False, where=f"network {sha256[:16]}", text=str(error))
        else:
            yield Finding(ok=True, where=f"network {sha256[:16]}", text="the weights are those of its name")


def _failed(source: AbstractSource) -> Iterator[Finding]:
    for failure in source.failed:
        text = f"trials {failure.first}..{failure.stop - 1} could not be computed: {failure.reason}"
        yield Finding(ok=False, where=f"point {failure.digest[:16]}", text=text)
