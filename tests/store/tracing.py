"""A writer whose n-th system call of a kind is failed, or is its last, by strace; run as a program by test_strace.

``python -m tests.store.tracing FOLDER KIND`` makes FOLDER/<call>-<fault>-<n> for every call, every fault and every n until
nothing is left to fail. KIND is ``new``, ``begun`` (see tests.store.crashing) or ``pack``. In every place ``end.json`` tells
how the writer ended, ``acks`` the first trials that it reported as committed.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from simprune.store import pack as packing_parent
from simprune.store import packing
from simprune.store.child import Ended, death
from simprune.store.errors import StoreError
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from tests.store.crashing import N_TRIALS, POINTS, campaign, prepare
from tests.store.factories import a_design, a_quick_batch

FAULTS = {"kill": "signal=KILL", "full": "error=ENOSPC", "broken": "error=EIO"}
CALLS = {
    "new": ("write", "fsync", "link", "rename", "unlink"),
    "begun": ("write", "fsync", "link", "rename", "unlink"),
    "pack": ("write", "pwrite64", "ftruncate", "fsync", "link", "unlink"),
}
IO_ERROR = 74
PACKED = POINTS[0]
ANY_TRACER = (0x59616D61, ctypes.c_long(-1))


def traced(work: Callable[[], None], *, call: str, fault: str, n: int, log: Path) -> tuple[int, bool]:
    """Run ``work`` in a fork under strace; return its status and whether the fault happened."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(*ANY_TRACER)
        os.read(reading, 1)
        work()
        os._exit(0)
    inject = f"inject={call}:{FAULTS[fault]}:when={n}"
    command = ["strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", inject, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        line = strace.stderr.readline()
        if "attached" not in line:
            os.close(writing)
            raise SystemExit(f"strace cannot attach here: {line.strip()}")
        os.write(writing, b"g")
        _, status = os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)
        strace.wait()
    told = log.read_text()
    return os.waitstatus_to_exitcode(status), "INJECTED" in told or "killed by SIGKILL" in told


def forked_module(module: str, arguments: list[str], *, seconds: float | None = None) -> Ended:
    """Stand in for ``run_module``: the same work in a fork, which starts at once."""
    assert module == "simprune.store.packing"
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        code = packing.main(arguments)
        sys.stderr.flush()
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        error = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Ended(code=code, output="", error=error, death=death(code))


def work_of(kind: str, place: Path) -> Callable[[], None]:
    def acknowledge(first: int) -> None:
        # a folder a commit: making it is none of the calls that are failed
        (place / "acks" / str(first)).mkdir(parents=True)

    def work() -> None:
        try:
            if kind == "pack":
                pack(place / "results", place / "packed.h5", trusted=True)
            else:
                campaign(place / "results", acknowledge=acknowledge)
        except StoreError as error:
            (place / "said" / str(error).replace("/", "|")[:200]).mkdir(parents=True)
            os._exit(IO_ERROR)

    return work


def main(root: Path, kind: str) -> None:
    packing_parent.run_module = forked_module  # type: ignore[assignment]
    begun = root / "begun"
    if kind == "begun":
        prepare(begun / "results")
    elif kind == "pack":
        with FolderStore.open(begun / "results", a_design(PACKED, trials=N_TRIALS), provenance={}) as store:
            store.append([a_quick_batch(PACKED, 0, N_TRIALS)])
    for call in CALLS[kind]:
        for fault in FAULTS:
            for n in range(1, 400):
                place = root / f"{call}-{fault}-{n:03d}"
                shutil.copytree(begun, place) if kind != "new" else place.mkdir()
                code, happened = traced(work_of(kind, place), call=call, fault=fault, n=n, log=root / "log")
                if not happened:
                    shutil.rmtree(place)
                    break
                (place / "end.json").write_text(json.dumps(code))
    shutil.rmtree(begun, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
