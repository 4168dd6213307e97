"""A second process that compiles half of the kernels while this one compiles the others: a first run starts sooner.

``Helper`` is this process's side. Operations wait for the kernel that they call (``HELPER.wait``), find it in the cache on
disk, and compile it themselves where the second process failed; no number depends on any of this.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from select import POLLIN, poll

from simprune.backends.compile import is_warm
from simprune.design.point import Point

# What the estimators call late enough, in its order: half of all compilation, and little of it is part of other kernels.
LARGE = {"ascent": ("output_gradient", "step", "gap_and_gradient"), "spectral": ("layer_norms",)}
PATIENCE = 60.0
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from simprune.backends.helped import main; main(sys.argv[2:])"
)


class Helper:
    """The second process, started at most once; a no-op where kernels are cached or there is one processor only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._expected: set[str] = set()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, point: Point) -> None:
        """Start compiling what the estimators of a fully connected ``point`` call, if this is the first time."""
        if self._asked:
            return
        with self._lock:
            names = [name for estimator in point.estimators for name in LARGE.get(estimator.name, ())]
            if not self._asked and names and sys.executable and len(os.sched_getaffinity(0)) > 1 and not is_warm():
                kind = "smooth" if 0.0 < point.network.activation.curvature < float("inf") else "piecewise"
                command = [sys.executable, "-c", PROGRAM, json.dumps(sys.path), point.precision, kind, *names]
                self.begin(command, names)
            self._asked = True

    def begin(self, command: list[str], names: list[str]) -> None:
        """Run ``command``, which prints each of ``names`` on a line of its own once it is done."""
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        try:
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, bufsize=0)
        except OSError:
            return
        self._expected = set(names)
        atexit.register(self.close)

    def wait(self, name: str) -> None:
        """Return once the kernel of operation ``name`` is on disk, or will not be put there by the second process."""
        if name not in self._expected:
            return
        with self._lock:
            while name in self._expected:
                done = self._next_line()
                self._expected = self._expected - {done} if done else set()
            if not self._expected:
                self.close()

    def close(self) -> None:
        """End the second process; what it has not compiled yet, this one compiles."""
        if self.process is None:
            return
        process, self.process = self.process, None
        self._expected.clear()
        atexit.unregister(self.close)
        process.kill()
        process.communicate()

    def _next_line(self) -> str:
        stream = self.process.stdout if self.process else None
        if stream is None:
            return ""
        waiting = poll()
        waiting.register(stream, POLLIN)
        return stream.readline().decode().strip() if waiting.poll(1000 * PATIENCE) else ""


HELPER = Helper()
