"""Work on HDF5 files that may crash the library is done in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL})
TOO_LONG = frozenset({signal.SIGXCPU, signal.SIGPROF})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended; ``death`` is why it could not finish, in words, None if it did."""

    code: int
    output: str
    error: str
    death: str | None


def run_module(module: str, arguments: Sequence[str], *, told: str = "", seconds: float | None = None) -> Ended:
    """Run ``python -m module`` with this installation, ``told`` on its input, ended after ``seconds``.

    Ctrl-C reaches the caller alone, who decides. OSError if the process cannot be started.
    """
    root = str(Path(__file__).resolve().parents[2])
    # The module is found where this one was, after everything installed, and not in the folder where the command was typed.
    start = (
        f"import runpy, sys; sys.path.append({root!r}); runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-P", "-c", start, *arguments]
    # One thread is enough, and no filter is loaded from files.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    try:
        done = subprocess.run(
            command,
            input=told,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=seconds,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return Ended(code=-signal.SIGKILL, output="", error="", death=f"its process did not end within {seconds:.0f} s")
    return Ended(code=done.returncode, output=done.stdout, error=done.stderr, death=death(done.returncode))


def death(code: int) -> str | None:
    """Return why a process that ended with ``code`` could not finish, in words; None if it did.

    >>> death(-11), death(1)
    ('the HDF5 library crashed (signal 11)', None)
    """
    number = -code
    if number <= 0:
        return None
    if number in CRASHES:
        return f"the HDF5 library crashed (signal {number})"
    if number in TOO_LONG:
        return "it took more processor time than a file of its size may"
    return f"its process was killed (signal {number}), by somebody or because memory ran out"
