"""A Dask scheduler and its workers as processes of their own, as a user would start them."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.schedulers.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m"]
OPTIONS = ["--host", "127.0.0.1", "--no-dashboard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


@contextmanager
def external_cluster(folder, *, workers=1, nanny=True, keys=None, environment=None):
    """Yield a scheduler with workers of one thread, encrypted if ``keys`` is a folder of them; all are killed at the end."""
    names = {"ca-file": "certificate", "cert": "certificate", "key": "key"}
    encrypted = [f"--tls-{option}={keys}/{name}.pem" for option, name in names.items()] if keys else []
    encrypted += ["--protocol", "tls"] if keys else []
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {})
    processes = []

    def start(program, *arguments):
        with (folder / "dask.log").open("a") as log:
            command = [*PROGRAM, f"distributed.cli.{program}", *OPTIONS, *encrypted, *map(str, arguments)]
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=surroundings))
        return processes[-1]

    file = folder / "scheduler.json"
    try:
        scheduler = start("dask_scheduler", "--port", "0", "--scheduler-file", file)
        assert wait_until(file.exists, 60), (folder / "dask.log").read_text()
        keeping = "--nanny" if nanny else "--no-nanny"
        started = [start("dask_worker", "--nthreads", "1", keeping, "--scheduler-file", file) for _ in range(workers)]
        yield External(address=json.loads(file.read_text())["address"], scheduler=scheduler, workers=started)
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
