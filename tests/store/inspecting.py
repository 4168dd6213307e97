"""Looks at many results, each in a fork of one process, and tells how that ended; run as a program.

``python -m tests.store.inspecting < PATHS`` prints one JSON object a path. What is accepted is then read whole by a
second fork without limits, as a reader's own process would: ``reader`` is how that ended (a signal would be a crash).
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from simprune.model.errors import InputError
from simprune.store import inspection
from simprune.store.results import open_results

MAX_TOLD = 2000


def forked(work: Callable[[], int]) -> dict[str, object]:
    """Run ``work`` in a fork; return its status (negative: a signal), what it printed, and what it used."""
    reading, writing = os.pipe()
    begun = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with os.fdopen(writing, "w") as out, contextlib.redirect_stdout(out):
            code = work()
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    _, status, usage = os.wait4(pid, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "told": text[:MAX_TOLD],
        "seconds": usage.ru_utime + usage.ru_stime,
        "wall": time.monotonic() - begun,
        "megabytes": usage.ru_maxrss / 1024,
    }


def read_whole(path: str) -> int:
    """Read every row and network; return 0 if that worked, 2 if it ended in a sentence."""
    try:
        results = open_results(path, trusted=True)
        for point in results.points:
            results.trained(point)
            table = results.table(point)
            sys.stdout.write("".join(f"{name} {hash(column.tobytes())}\n" for name, column in sorted(table.items())))
    except InputError:
        return 2
    return 0


def main() -> None:
    for path in sys.stdin.read().splitlines():
        ended = forked(lambda path=path: inspection.main([path]))  # type: ignore[misc]
        if ended["code"] == 0:
            reader = forked(lambda path=path: read_whole(path))  # type: ignore[misc]
            ended |= {"reader": reader["code"], "rows": reader["told"]}
        sys.stdout.write(json.dumps({"path": str(Path(path)), **ended}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
