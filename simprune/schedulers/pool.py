"""Dask workers: a cluster on this machine, or a scheduler that runs elsewhere."""

import logging
import os
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from importlib.metadata import version
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT
from distributed.utils import silence_logging_cmgr

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers.keys import certificates
from simprune.schedulers.scratch import scratch_folder
from simprune.schedulers.spawning import SpawnGuard, nanny_class

CONNECT_SECONDS = 8
WORKERS_SECONDS = 30
MEMORY_SHARE = 0.8
START_ATTEMPTS = 3
SILENT = logging.CRITICAL + 1
SETTINGS = {
    # One death is enough for a report: the engine tries the block again by itself, in halves and alone.
    "distributed.scheduler.allowed-failures": 1,
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.scheduler.no-workers-timeout": "60s",
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
    # Results are small and taken at once; spilling would hide a block that needs too much memory.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.admin.large-graph-warning-threshold": "10GiB",
    # A long compiled kernel may hold the interpreter; that is no reason to warn.
    "distributed.admin.tick.limit": "1h",
    # Idle housekeeping competes with the workers: at Dask's own rates it takes 3 % of a core here and 1.5 % in a worker.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.scheduler.active-memory-manager.start": False,
}


class Pool(ABC):
    """A client with workers."""

    client: Any

    @abstractmethod
    def heal(self) -> None:
        """Ask for workers that were lost."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect, and stop what was started."""

    def n_threads(self) -> int:
        """Return how many blocks run at a time."""
        return sum(self.client.nthreads().values())


class LocalPool(Pool):
    """Processes on this machine, one thread each, reachable from this machine only."""

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        with ExitStack() as stack:
            folder = str(stack.enter_context(scratch_folder()))
            stack.enter_context(dask.config.set(SETTINGS | {"temporary-directory": folder}))
            self._cluster = _start(n_workers, folder)
            stack.callback(self._cluster.close)
            self.client = Client(self._cluster, set_as_default=False)  # type: ignore[no-untyped-call]
            stack.callback(self.client.close)
            self._stack = stack.pop_all()

    def heal(self) -> None:
        # Dask forgets a worker for good if it is away some time after an earlier loss.
        self._cluster.scale(self._n_workers)

    def n_threads(self) -> int:
        return self._n_workers

    def close(self) -> None:
        self._stack.close()


class RemotePool(Pool):
    """Workers of a Dask scheduler that somebody else started; by ``tls://`` with the certificates of ``cluster``."""

    def __init__(self, address: str, *, cluster: Cluster) -> None:
        keys = {"security": certificates(cluster)} if address.startswith("tls://") else {}
        self._stack = ExitStack()
        self._stack.enter_context(dask.config.set(SETTINGS))
        # Whatever goes wrong is told in one sentence.
        self._stack.enter_context(silence_logging_cmgr(SILENT))
        try:
            self.client = Client(address, set_as_default=False, timeout=CONNECT_SECONDS, **keys)  # type: ignore[no-untyped-call]
            self._stack.callback(self.client.close)
            self.client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except (OSError, ValueError, TypeError, TimeoutError) as error:
            self._stack.close()
            raise InputError(
                f"a Dask scheduler with workers must answer at {address}, got '{_one_line(error)}'; "
                "start one there, or run without an address"
            ) from error
        try:
            check_version(self.client, address)
        except InputError:
            self._stack.close()
            raise

    def heal(self) -> None:
        """Do nothing: whoever started the workers keeps them."""

    def close(self) -> None:
        with suppress(OSError, TimeoutError):
            self._stack.close()


def package_version() -> str:
    """Return the version of simprune where this runs."""
    return str(version("simprune"))


def check_version(client: Any, address: str) -> None:
    """Refuse workers that run another version of simprune than this process."""
    ours = version("simprune")
    try:
        found = sorted(set(client.run(package_version).values()))
    except Exception as error:
        found = [_one_line(error)]
    if found != [ours]:
        raise InputError(
            f"the workers at {address} must run simprune {ours} as this process does, got {', '.join(found)}; "
            "install the same version there, because another may compute other numbers"
        )


def _start(n_workers: int, folder: str) -> Any:
    """Start the cluster, again if a worker dies while it starts (out of memory, killed)."""
    guard = SpawnGuard()
    reason: BaseException | None = None
    for _ in range(START_ATTEMPTS):
        try:
            with guard:
                return LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=n_workers,
                    threads_per_worker=1,
                    worker_class=nanny_class(guard),
                    host="127.0.0.1",
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                    memory_limit=int(MEMORY_SHARE * MEMORY_LIMIT / n_workers),
                    local_directory=folder,
                    preload=["simprune.schedulers.worker_setup"],
                    silence_logs=SILENT,
                )
        except (RuntimeError, OSError) as error:
            reason = error.__cause__ or error
    raise InputError(
        f"{n_workers} worker processes must start, {START_ATTEMPTS} attempts ended with '{_one_line(reason)}'; "
        "check memory and process limits, or take fewer workers"
    ) from reason


def default_workers() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _one_line(error: BaseException | None) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
