"""A writer that dies at its n-th system call of a kind; run as a program by test_crashes.

``python -m tests.store.crashing FOLDER`` makes FOLDER/<state>-<n> for every n until the writer survives, each with
acks.txt: the trials that were reported as committed.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simprune.store.folder import FolderStore
from tests.store.factories import a_design, a_point, a_quick_batch

CALLS = ("open", "write", "fsync", "link", "rename", "unlink")
POINTS = (a_point(), a_point(alpha=0.25))
N_TRIALS = 20
STEP = 10


def campaign(folder: Path, *, acknowledge: Callable[[int], None]) -> None:
    """Store all trials of both points, one segment for every ten."""
    with FolderStore.open(folder, a_design(*POINTS, trials=N_TRIALS), provenance={}) as store:
        for first in range(0, N_TRIALS, STEP):
            store.append([a_quick_batch(point, first, first + STEP) for point in POINTS])
            store.flush()
            acknowledge(first)


def prepare(folder: Path) -> None:
    """Begin a folder that needs recovery: one good segment, one damaged, one half-written."""
    with FolderStore.open(folder, a_design(*POINTS, trials=N_TRIALS), provenance={}) as store:
        for first in (10, 0):
            store.append([a_quick_batch(point, first, first + 5) for point in POINTS])
            store.flush()
    damaged = folder / "segments" / "seg-000000000001.h5"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    (folder / "segments" / ".tmp-1").write_bytes(b"half")


def die_at(n: int) -> None:
    """Kill this process before its n-th counted system call; a write is half done then."""
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == n:
                if call is write:
                    write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return wrapper

    write = os.write
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))


def main(root: Path) -> None:
    for begun in (False, True):
        for n in range(1, 200):
            place = root / f"{'begun' if begun else 'new'}-{n:03d}"
            place.mkdir()
            if _survives(place, n, begun=begun):
                shutil.rmtree(place)
                break


def _survives(place: Path, n: int, *, begun: bool) -> bool:
    if begun:
        prepare(place / "results")
    pid = os.fork()
    if pid == 0:
        acks = os.open(place / "acks.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        write = os.write
        die_at(n)
        campaign(place / "results", acknowledge=lambda first: write(acks, f"{first}\n".encode()) and None)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if status not in (0, signal.SIGKILL):
        raise SystemExit(f"the writer of {place} ended with status {status}")
    return status == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
