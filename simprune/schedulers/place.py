"""Which scheduler a name means: the one place where it is chosen."""

import ipaddress
import math
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers.base import AbstractScheduler

if TYPE_CHECKING:
    from simprune.schedulers.pool import Pool

NAMES = ("local", "serial", "slurm")
SCHEMES = ("tcp://", "tls://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where blocks are computed; nothing of it changes a number.

    ``scheduler``: "serial" (this process), "local" (``workers`` processes on this machine), "slurm" (``workers`` SLURM
    jobs, by default the cluster's), "srun" (the tasks of the srun that this process is one of), or the address of a
    running Dask scheduler. ``deadline``: seconds that a block may take, None for any. ``insecure_network`` lets a
    connection to other machines go without TLS.
    """

    scheduler: str = "local"
    workers: int | None = None
    deadline: float | None = None
    insecure_network: bool = False
    cluster: Cluster = field(default_factory=Cluster)

    def __post_init__(self) -> None:
        name = self.scheduler
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers must be at least 1, got {self.workers}; leave it out for the default")
        if self.deadline is not None and not 0.0 < self.deadline < math.inf:
            raise InputError(f"deadline must be positive, got {self.deadline:g}; it is the longest time of a block, in s")
        if name == "serial" and self.deadline is not None:
            raise InputError("a deadline must have worker processes that can be killed, got scheduler serial; take local")
        if name in NAMES or name == "srun":
            return
        if not name.startswith(SCHEMES):
            raise InputError(
                f"scheduler must be {', '.join(NAMES)} or an address, e.g. tcp://host:port, got '{name}'; take one"
            )
        if self.workers is not None:
            raise InputError(
                f"workers of the scheduler at {name} must be started there, got workers={self.workers}; leave it out"
            )
        if name.startswith("tcp://") and not self.insecure_network and not _is_loopback(name):
            raise InputError(
                f"a scheduler on another machine must be reached by tls://, got {name}, where anybody on the network may "
                "run code; start it with TLS, or allow that with --insecure-network"
            )

    @property
    def n_parallel(self) -> int:
        """How many blocks (serial: micro-batches) run at a time, 1 where only the cluster knows."""
        if self.scheduler in ("local", "serial"):
            return self.workers or len(os.sched_getaffinity(0))
        return self.workers or self.cluster.jobs or 1

    def open(self, folder: Path) -> AbstractScheduler:
        """Return the scheduler; ``folder`` is that of the results, for the keys and logs of SLURM jobs."""
        if self.scheduler == "serial":
            from simprune.schedulers.serial import SerialScheduler

            return SerialScheduler()
        from simprune.schedulers.dask import DaskScheduler

        if self.scheduler == "srun":
            joined = DaskScheduler(open_pool=self._pool(folder), deadline=self.deadline)
            joined.connect()  # also if there is nothing to compute: the other tasks wait to be told that it is over
            return joined
        if self.scheduler == "local":
            return DaskScheduler(workers=self.workers, deadline=self.deadline)
        return DaskScheduler(open_pool=self._pool(folder), deadline=self.deadline)

    def _pool(self, folder: Path) -> "Callable[[], Pool]":
        if self.scheduler == "slurm":
            from simprune.schedulers.slurm import SlurmPool

            insecure = self.insecure_network
            return partial(SlurmPool, self.cluster, folder=folder, jobs=self.workers, insecure_network=insecure)
        if self.scheduler == "srun":
            from simprune.schedulers.srun import SrunPool

            return partial(SrunPool, self.cluster, folder=folder)
        from simprune.schedulers.pool import RemotePool

        return partial(RemotePool, self.scheduler, cluster=self.cluster)


def _is_loopback(address: str) -> bool:
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(ip).partition("%")[0]).is_loopback for ip in found)
