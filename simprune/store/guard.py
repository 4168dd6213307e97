"""Results that somebody gave are looked at by another process first, so that they can crash that one only."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from simprune.store.child import run_module
from simprune.store.errors import DamagedResults, StoreError
from simprune.store.folder_source import Scanned
from simprune.store.plain import sizes
from simprune.store.segment import PartEntry

REFUSED, UNREADABLE = 2, 3
SECONDS = 120.0
SECONDS_A_BYTE = 1e-6


def inspected(path: Path, *, known: Iterable[str] = ()) -> Mapping[str, Scanned]:
    """Return what the segments of a folder hold (nothing for a packed file) after another process has read them.

    Raises:
        DamagedResults: these are no results, or results that a reader should not open; the sentence says why.
        StoreError: the system refuses to read.

    """
    try:
        seconds = SECONDS + SECONDS_A_BYTE * sum(sizes(path).values())
        ended = run_module("simprune.store.inspection", [str(path)], told=json.dumps(list(known)), seconds=seconds)
    except OSError as error:
        raise StoreError(f"{path} must be readable, the system said '{error.strerror}'; mend that") from error
    if ended.death:
        raise DamagedResults(f"{path} must be genuine results, but when they were read {ended.death}; take another copy")
    if ended.code == REFUSED:
        raise DamagedResults(ended.output)
    if ended.code == UNREADABLE:
        raise StoreError(ended.output)
    if ended.code:
        told = (ended.error.strip().splitlines() or ["no reason given"])[-1]
        raise DamagedResults(f"{path} must be genuine results, but they could not be read ({told}); take another copy")
    return {
        name: parts if isinstance(parts, str) else tuple(PartEntry(**part) for part in parts)
        for name, parts in json.loads(ended.output).items()
    }
