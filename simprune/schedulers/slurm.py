"""Dask workers in SLURM jobs, one worker on one processor a job; jobs that end are replaced until the run is done."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask
from distributed import Client
from distributed.utils import silence_logging_cmgr

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers.jobqueue import jobqueue_class
from simprune.schedulers.keys import FOLDER, make_keys, remove_keys
from simprune.schedulers.pool import SETTINGS, SILENT, Pool
from simprune.schedulers.spawning import ONE_THREAD

LOGS = "logs"
DEATH_SECONDS = 10
# What Dask still has to say of closed connections comes a moment after its close.
LAST_WORDS_SECONDS = 0.2
POLL_SECONDS = 10.0
VANISHED_SECONDS = 20.0
MAX_STILLBORN = 3
DEFAULT_MEMORY = "2GB"
PRELOAD = "simprune.schedulers.worker_setup"
SLURM_SETTINGS = SETTINGS | {
    # Jobs may wait in the queue for days.
    "distributed.scheduler.no-workers-timeout": None,
    "distributed.deploy.lost-worker-timeout": "10s",
}


class SlurmPool(Pool):
    """``jobs`` SLURM jobs, each with one worker that ends a little before its time is up and is replaced then.

    Keys and logs lie in ``folder/cluster``. Connections are encrypted with a key made for this run, unless
    ``insecure_network``.
    """

    def __init__(self, cluster: Cluster, *, folder: Path, jobs: int | None, insecure_network: bool) -> None:
        n_jobs = jobs or cluster.jobs
        if n_jobs is None:
            raise InputError("the number of SLURM jobs must be given, got none; set jobs under [cluster], or --workers")
        if shutil.which("sbatch") is None:
            raise InputError("SLURM must be there, no sbatch is on PATH; run on a login node, or choose another scheduler")
        self._n_jobs = n_jobs
        self._polled = time.monotonic()
        self._vanished: dict[str, float] = {}
        self._n_stillborn = 0
        own = (folder / FOLDER).resolve()
        self._logs = own / LOGS
        with ExitStack() as stack:
            stack.enter_context(dask.config.set(SLURM_SETTINGS))
            stack.enter_context(silence_logging_cmgr(SILENT))
            stack.callback(time.sleep, LAST_WORDS_SECONDS)
            keys = None if insecure_network else make_keys(own)
            stack.callback(remove_keys, own)
            self._cluster = _open(worker_options(cluster, own) | {"security": keys})
            stack.callback(_close, self._cluster)
            _submit(self._cluster, n_jobs)
            self.client = Client(self._cluster, set_as_default=False)  # type: ignore[no-untyped-call]
            stack.callback(self.client.close)
            self._stack = stack.pop_all()

    def heal(self) -> None:
        if time.monotonic() - self._polled > POLL_SECONDS:
            self._polled = time.monotonic()
            self._forget_vanished_jobs()
        self._cluster.scale(jobs=self._n_jobs)

    def n_threads(self) -> int:
        return self._n_jobs

    def close(self) -> None:
        self._stack.close()

    def _forget_vanished_jobs(self) -> None:
        """Forget jobs that SLURM refused, or that ended before their worker was there; Dask sees only lost workers."""
        jobs = dict(self._cluster.workers)
        queued = _queued_jobs()
        if queued is None:
            return
        present = {str(worker.name) for worker in list(self._cluster.scheduler.workers.values())}
        gone = {name: job for name, job in jobs.items() if job.job_id not in queued and str(name) not in present}
        now = time.monotonic()
        self._vanished = {name: self._vanished.get(name, now) for name in gone}
        for name, since in self._vanished.items():
            if now - since > VANISHED_SECONDS:
                self._cluster.workers.pop(name, None)
                self._n_stillborn += 1
        if present:
            self._n_stillborn = 0
        elif self._n_stillborn >= MAX_STILLBORN * self._n_jobs:
            raise InputError(
                f"SLURM jobs must live to be workers, {self._n_stillborn} ended before that and none lives; "
                f"their output is in {_configured('log-directory') or self._logs}"
            )


def worker_options(cluster: Cluster, own: Path) -> dict[str, Any]:
    """Return what describes a job; where the table is silent, the user's Dask configuration (jobqueue.slurm) holds."""
    given = {
        "queue": cluster.queue,
        "account": cluster.account,
        "walltime": cluster.walltime,
        "interface": cluster.interface,
        "job_extra_directives": list(cluster.directives) or None,
    }
    return {
        **{name: value for name, value in given.items() if value is not None},
        "cores": 1,
        "processes": 1,
        "memory": cluster.memory or _configured("memory") or DEFAULT_MEMORY,
        "job_name": _configured("job-name") or "simprune",
        "job_script_prologue": [*_exports(), *(cluster.prologue or _configured("job-script-prologue") or ())],
        "worker_extra_args": [
            *(_configured("worker-extra-args") or ()),
            *("--preload", PRELOAD, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"),
            *_lifetime(cluster),
        ],
        "death_timeout": DEATH_SECONDS,
        "local_directory": _configured("local-directory") or "/tmp",
        "log_directory": _configured("log-directory") or str(own / LOGS),
        "silence_logs": SILENT,
        "scheduler_options": {"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    }


def _configured(name: str) -> Any:
    return dask.config.get(f"jobqueue.slurm.{name}", None)


def _exports() -> list[str]:
    settings: Mapping[str, object] = {name: value for name, value in SETTINGS.items() if ".scheduler." not in name}
    dasks = {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": value for name, value in settings.items()}
    return [f"export {name}={value}" for name, value in (ONE_THREAD | dasks).items()]


def _lifetime(cluster: Cluster) -> list[str]:
    """Let workers end on their own before SLURM kills them, not all at once."""
    written = cluster.walltime or _configured("walltime")
    try:
        seconds = Cluster(walltime=written).walltime_seconds
    except (InputError, TypeError):
        seconds = None
    if seconds is None:
        return []
    margin = max(30, min(300, seconds // 10))
    return ["--lifetime", f"{seconds - margin}s", "--lifetime-stagger", f"{margin // 3}s"]


def _open(options: Mapping[str, Any]) -> Any:
    cluster_class = jobqueue_class("SLURMCluster")
    try:
        return cluster_class(**options)
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise InputError(
            f"a SLURM cluster must start, got '{_last_line(error)}'; mend [cluster] or jobqueue.slurm"
        ) from error


def _submit(cluster: Any, n_jobs: int) -> None:
    async def submit_and_wait() -> None:
        # What ``scale`` does, but a refusal is raised here and not only logged.
        while len(cluster.worker_spec) < n_jobs:
            cluster.worker_spec.update(cluster.new_worker_spec())
        await cluster._correct_state()

    try:
        cluster.sync(submit_and_wait)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"SLURM must accept the jobs, it said '{_last_line(error)}'; mend [cluster] in the design or jobqueue.slurm"
        ) from error


def _close(cluster: Any) -> None:
    """Cancel all jobs; Dask would then assert a state that jobs do not keep, of those that something still refers to."""
    cluster._created.clear()
    cluster.close()


def _queued_jobs() -> set[str] | None:
    """Return the ids of this user's jobs, None if SLURM does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%i"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return set(done.stdout.split())


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
