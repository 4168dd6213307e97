"""Trials that could not be computed, and why."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simprune.store.coverage import Coverage
from simprune.store.errors import DamagedResults
from simprune.store.plain import read_text

FILE = "failed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTrials:
    """Trials ``first .. stop - 1`` of the point with this digest failed for ``reason``."""

    digest: str
    first: int
    stop: int
    reason: str


def still_failed(failures: Iterable[FailedTrials], coverage: Coverage) -> tuple[FailedTrials, ...]:
    """Return the failures without the trials that have been computed since, each trial with its latest reason."""
    told = Coverage()
    left = []
    for failure in reversed(tuple(failures)):
        for start, end in told.missing(failure.digest, failure.first, failure.stop):
            for first, stop in coverage.missing(failure.digest, start, end):
                left.append(FailedTrials(digest=failure.digest, first=first, stop=stop, reason=failure.reason))
        told.add(failure.digest, failure.first, failure.stop)
    return tuple(sorted(left, key=lambda f: (f.digest, f.first)))


def to_json(failures: Sequence[FailedTrials]) -> bytes:
    """Return the text of ``failed.json``."""
    rows = [{"point": f.digest, "first": f.first, "stop": f.stop, "reason": f.reason} for f in failures]
    return json.dumps(rows, indent=1).encode()


def from_json(text: bytes, *, origin: str) -> tuple[FailedTrials, ...]:
    """Read the text of ``failed.json``."""
    try:
        rows = json.loads(text)
        return tuple(
            FailedTrials(digest=str(r["point"]), first=int(r["first"]), stop=int(r["stop"]), reason=str(r["reason"]))
            for r in rows
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedResults(f"{origin} must list failed trials as JSON, got {error}; delete the file") from error


def read(folder: Path) -> tuple[FailedTrials, ...]:
    """Return the failures that a folder lists, none if it has no such file."""
    path = folder / FILE
    text = read_text(path)
    return () if text is None else from_json(text, origin=str(path))
