"""A whole study inside one SLURM job: the tasks of one srun are the scheduler, this run, and its workers."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import dask
from distributed import Client
from distributed.core import Status

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers.jobqueue import jobqueue_class
from simprune.schedulers.keys import FOLDER, has_keys, make_keys, read_keys, remove_keys
from simprune.schedulers.pool import SETTINGS, Pool
from simprune.schedulers.slurm import PRELOAD
from simprune.schedulers.spawning import SpawnGuard, nanny_class

SCHEDULER, RUN = 0, 1
MIN_TASKS = 3
START_SECONDS = 300
ADDRESS, OVER = "scheduler.json", "over"
GRACE_SECONDS = 8.0
"""How long a task may take to end by itself after the run; srun waits 30 s before it calls the job failed."""
GuardedNanny: type[Any] = nanny_class(SpawnGuard())


class SrunPool(Pool):
    """The workers among the tasks of this srun; the second task is the run itself."""

    def __init__(self, cluster: Cluster, *, folder: Path) -> None:
        self._own = meeting_place(folder)
        self._n_workers = _task_numbers()[1] - 2
        keys = _common_keys(self._own, make=False)
        with dask.config.set(SETTINGS):
            try:
                runner = _join(cluster, self._own, keys)
                # Its own way to end the scheduler knows no keys; the client does that.
                runner.status, address = Status.closed, runner.scheduler_address
                self.client = Client(address, security=keys, set_as_default=False)  # type: ignore[no-untyped-call]
                self.client.wait_for_workers(1, timeout=START_SECONDS)
            except (OSError, TimeoutError) as error:
                raise InputError(f"the tasks of srun must meet in {self._own}, got '{error}'; see their output") from error

    def heal(self) -> None:
        """Do nothing: srun starts a task once, and its nanny keeps the worker."""

    def n_threads(self) -> int:
        return self._n_workers

    def close(self) -> None:
        (self._own / OVER).touch()  # stays: a task that comes later still looks here
        self.client.shutdown()
        remove_keys(self._own)  # the scheduler removes its address itself


def is_run() -> bool:
    """Whether this task is the one that runs the study; the others ``serve`` it."""
    return _task_numbers()[0] == RUN


def serve(cluster: Cluster, *, folder: Path) -> NoReturn:
    """Be the scheduler or a worker until the run is over; a worker that comes too late for a short run ends well."""
    # The time limit of the job is a matter of the run, which stops cleanly; the runner ends itself by a SIGINT.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    own, ended = meeting_place(folder), threading.Event()
    threading.Thread(target=_end_with_the_run, args=(own / OVER, ended), daemon=True).start()
    with dask.config.set(SETTINGS):
        try:
            _join(cluster, own, _common_keys(own, make=_task_numbers()[0] == SCHEDULER))
        except (RuntimeError, OSError):
            if not (own / OVER).exists():
                raise
        finally:
            ended.set()
    raise SystemExit(0)


def _end_with_the_run(over: Path, ended: threading.Event) -> None:
    """End this process some time after the run: a worker that was about to join it tries forever."""
    while not over.exists():
        if ended.wait(0.5):
            return
    if not ended.wait(GRACE_SECONDS):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(GRACE_SECONDS / 2)
        if _task_numbers()[0] == SCHEDULER:
            (over.parent / ADDRESS).unlink(missing_ok=True)
        os._exit(0)


def meeting_place(folder: Path) -> Path:
    """Return the folder that the tasks of this srun share, inside the results; a requeued job has another."""
    step = ".".join(os.environ.get(f"SLURM_{name}", "0") for name in ("JOB_ID", "STEP_ID", "RESTART_COUNT"))
    return (folder / FOLDER / f"job-{step}").resolve()


def _task_numbers() -> tuple[int, int]:
    try:
        number, n_tasks = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    except (KeyError, ValueError):
        raise InputError("scheduler srun must run under srun, got no SLURM_PROCID; see simprune job-script slurm") from None
    if n_tasks < MIN_TASKS:
        raise InputError(f"srun must have a task for the scheduler, one for the run, and workers, got {n_tasks}; ask for 3")
    return number, n_tasks


def _common_keys(own: Path, *, make: bool) -> Any:
    """Return the keys that the scheduler makes and the other tasks wait for."""
    if make:
        return make_keys(own)
    end = time.monotonic() + START_SECONDS
    while not has_keys(own):
        if (own / OVER).exists():
            raise SystemExit(0)
        if time.monotonic() > end:
            raise InputError(f"the scheduler must put its keys into {own}, got nothing; is it on a shared file system?")
        time.sleep(0.2)
    return read_keys(own)


def _join(cluster: Cluster, own: Path, keys: Any) -> Any:
    both: Mapping[str, Any] = {"protocol": "tls://", "security": keys, "interface": cluster.interface}
    quiet = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    per_task = os.environ.get("SLURM_MEM_PER_CPU")
    worker = {
        "nthreads": 1,
        "memory_limit": f"{per_task}MiB" if per_task else "auto",
        "local_directory": "/tmp",
        "preload": [PRELOAD],
    }
    return jobqueue_class("SLURMRunner")(
        scheduler_file=str(own / ADDRESS),
        scheduler_options={**both, **quiet},
        worker_class=f"{__name__}.GuardedNanny",
        worker_options={**both, **quiet, **worker},
    )
