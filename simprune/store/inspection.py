"""The process that looks at results of strangers first: ``python -m simprune.store.inspection PATH``.

It does everything that a reader does at first, under limits of memory and time: whatever a crafted file makes the HDF5
library do, it does it here. Its input may name segments that were looked at before, as a JSON list.
"""

import json
import math
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simprune.model.errors import InputError
from simprune.records import columns_of
from simprune.store import networks, record
from simprune.store.errors import CorruptSegment, DamagedResults, StoreError
from simprune.store.folder_source import SEGMENTS, FolderSource, Scanned, scan
from simprune.store.guard import REFUSED, UNREADABLE
from simprune.store.packed import PackedSource
from simprune.store.plain import sizes
from simprune.store.source import AbstractSource

STATM = Path("/proc/self/statm")
MEMORY_BYTES = 128 << 20
MEMORY_A_BYTE = 16
SECONDS = 0.5
SECONDS_A_BYTE, STRUCTURE_BYTES = 3e-6, 20 << 20  # where all is structure and no rows
SECONDS_A_BYTE_OF_ROWS = 2e-8


def inspect(path: Path, *, known: Sequence[str] = ()) -> Mapping[str, Scanned]:
    """Check results of a stranger and read a little of everything; return what a folder's segments hold.

    Raises:
        InputError: there is something that results never contain.

    """
    if not path.is_dir():
        _first_rows(PackedSource(path))
        return {}
    for directory in (SEGMENTS, networks.FOLDER):
        if (path / directory).is_symlink():
            raise DamagedResults(f"{path / directory} must be a folder, got a link to elsewhere; remove it")
    found = record.read(path)
    if found is None:
        raise InputError(f"{path} must be a results folder, it has no {record.FILE}; give the path of results")
    scanned = scan(path, found.digests, known=known, foreign=True)
    _first_rows(FolderSource(path, scanned=scanned))
    return scanned


def _first_rows(source: AbstractSource) -> None:
    """Read what a reader would; damage of one part is told by the reader, not here."""
    for sha256 in source.record.networks:
        with suppress(DamagedResults):
            source.network(sha256)
    for digest, point in zip(source.record.digests, source.record.points, strict=True):
        with suppress(CorruptSegment):
            next(source.pieces(digest, point, names=[spec.name for spec in columns_of(point)]), None)


def limit(path: Path) -> None:
    """Take away memory and time: what the imports took, and ten times what a good file of this size needs."""
    found = sizes(path)
    described = sum(n for name, n in found.items() if name.endswith(".json") or path.is_file())
    networks_bytes = max((n for name, n in found.items() if name.endswith(".npz")), default=0)
    if STATM.exists():  # elsewhere than on Linux there is no telling what the imports took
        used = int(STATM.read_text().split()[0]) * resource.getpagesize()
        memory = used + MEMORY_BYTES + MEMORY_A_BYTE * (described + networks_bytes)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    n_bytes = sum(found.values())
    seconds = SECONDS + SECONDS_A_BYTE * min(n_bytes, STRUCTURE_BYTES) + SECONDS_A_BYTE_OF_ROWS * n_bytes
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds) + 2, math.ceil(seconds) + 3))
    # The same limit, finer than whole seconds; unhandled, the signal ends the process wherever it is.
    signal.setitimer(signal.ITIMER_PROF, seconds)


def plain(scanned: Mapping[str, Scanned]) -> dict[str, Any]:
    """Return what goes over the pipe as JSON."""
    return {name: parts if isinstance(parts, str) else [asdict(part) for part in parts] for name, parts in scanned.items()}


def main(arguments: list[str]) -> int:
    """Inspect and print the segments as JSON; or print a sentence and return another status than 0."""
    path = Path(arguments[0])
    try:
        limit(path)
        told = json.dumps(plain(inspect(path, known=json.loads(sys.stdin.read() or "[]"))))
    except InputError as error:
        sys.stdout.write(str(error))
        return UNREADABLE if isinstance(error, StoreError) else REFUSED
    except MemoryError:
        sys.stdout.write(f"{path} must be readable with the memory that its size allows, got more; it is no genuine file")
        return REFUSED
    sys.stdout.write(told)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
