"""Check stored rows against their checksums, and count them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simprune.model.errors import InputError
from simprune.records import columns_of
from simprune.store.coverage import Coverage, runs
from simprune.store.errors import CorruptSegment
from simprune.store.folder_source import FolderSource
from simprune.store.packed import PackedSource
from simprune.store.segment import read_entries
from simprune.store.source import AbstractSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at one place; ``ok`` is false where something must be mended."""

    ok: bool
    where: str
    text: str


def check(path: str | Path) -> list[Finding]:
    """Verify every checksum of a results folder or packed file, count rows, and look for trials stored twice.

    Raises:
        InputError: ``path`` holds no results at all.

    """
    where = Path(path)
    if where.is_dir():
        source: AbstractSource = FolderSource(where)
        return [*_segments(where), *_rows(source), *_networks(source), *_failed(source)]
    if where.is_file():
        source = PackedSource(where)
        return [*_rows(source), *_networks(source), *_failed(source)]
    raise InputError(f"results must be a folder or a packed file, {where} does not exist; check the path")


def _segments(folder: Path) -> Iterator[Finding]:
    coverage = Coverage()
    for path in sorted((folder / "segments").iterdir()):
        if path.name.startswith("bad-"):
            yield Finding(ok=True, where=path.name, text="was damaged and set aside; its trials are computed again")
        if not path.name.startswith("seg-"):
            continue
        try:
            entries = read_entries(path)
        except (CorruptSegment, InputError, FileNotFoundError) as error:
            yield Finding(ok=False, where=path.name, text=f"{error}; run the design again to compute its trials again")
            continue
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
