"""The Python interface: designs are run, results opened, trials rebuilt. Everything heavy is imported when it is used."""

import logging
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.model.errors import InputError, nearest
from simprune.model.network import FixedTarget
from simprune.trained.network import TrainedNetwork

if TYPE_CHECKING:
    from simprune.backends.base import AbstractBackend, Trial
    from simprune.engine import Progress, RunReport, StopRequest

BACKENDS = ("auto", "cpu", "reference", "cuda")
_log = logging.getLogger("simprune")


def run(
    design: Design | str | Path,
    results: str | Path,
    *,
    backend: str = "auto",
    scheduler: str = "local",
    workers: int | None = None,
    deadline: float | None = None,
    insecure_network: bool = False,
    progress: "Callable[[Progress], None] | None" = None,
    stop: "StopRequest | None" = None,
    notice: Callable[[str], object] = _log.warning,
) -> "RunReport":
    """Complete what the folder ``results`` misses of a design (or of the design in a file); nothing is computed twice.

    ``scheduler`` is "local" (``workers`` processes, by default one a processor, or a GPU), "serial" (this process), "slurm"
    (``workers`` jobs) or the address of a Dask scheduler, "tls://host:port" or "tcp://host:port"; without TLS another
    machine is refused unless ``insecure_network``. A block that takes longer than ``deadline`` seconds is given up. None
    of these changes a number. ``notice`` is told of damaged parts that were set aside.

    Raises:
        InputError: something must be mended before a run; what was stored stays.
        StoreError: the results cannot be read or written.
        SchedulerLost: the scheduler went away; run the same again to go on.

    """
    from simprune.engine import run as complete
    from simprune.schedulers.devices import devices
    from simprune.schedulers.place import Place
    from simprune.store.folder import FolderStore

    study = design if isinstance(design, Design) else _load(design)
    name = settle_backend(backend, provenance=begun(results), design=study, notice=notice)
    if name == "cuda" and scheduler == "local":
        workers = workers or max(1, len(devices()))
    place = Place(
        scheduler=scheduler, workers=workers, deadline=deadline, insecure_network=insecure_network, cluster=study.cluster
    )
    share = {} if study.share is None else {"share": str(study.share)}
    with closing(place.open(Path(results))) as chosen:
        compute = open_backend(name, threads=place.n_parallel if scheduler == "serial" else 1)
        with FolderStore.open(results, study, provenance={"backend": name, **_libraries(), **share}) as store:
            for damaged in store.quarantined:
                notice(damaged)
            return complete(study, backend=compute, scheduler=chosen, store=store, progress=progress, stop=stop)


def rebuild(point: Point, trial: int, *, trained: TrainedNetwork | None = None, backend: str = "cpu") -> "Trial":
    """Return weights, masks and biases of one trial as NumPy arrays, from its address alone.

    ``trained`` is needed where the point's target is a trained network: ``results.trained(point)`` holds it.
    """
    if not 0 <= trial < 1 << 63:
        raise InputError(f"trial must lie in 0..2^63-1, got {trial}; it is the index of a trial")
    target = point.network.target
    if isinstance(target, FixedTarget) and (trained is None or trained.sha256 != target.sha256):
        got = "none" if trained is None else f"network {trained.sha256[:12]}"
        raise InputError(f"trained must be network {target.sha256[:12]}, got {got}; pass results.trained(point)")
    return open_backend(_known_backend(backend), threads=1).rebuild(point, trial, trained)


def begun(results: str | Path) -> Mapping[str, Any]:
    """Return the provenance of a results folder, empty if nothing was begun there."""
    from simprune.store import record

    found = record.read(Path(results)) if Path(results).is_dir() else None
    return found.provenance if found else {}


def settle_backend(
    backend: str,
    *,
    provenance: Mapping[str, Any],
    design: Design | None = None,
    notice: Callable[[str], object] = lambda text: None,
) -> str:
    """Return the name of the backend to compute with: what was begun is continued on the same one.

    ``auto`` takes a usable GPU for a design that it can compute, and tells ``notice`` if it does not though a GPU is seen.
    """
    used = provenance.get("backend")
    if used not in BACKENDS:
        if backend != "auto":
            return _known_backend(backend)
        lacking = without_cuda(design)
        if lacking and _driver_seen():
            notice(f"backend auto takes the cpu: {lacking}")
        return "cpu" if lacking else "cuda"
    if backend not in ("auto", used):
        raise InputError(
            f"results must be continued with the backend that began them, {used}, got {backend}: backends agree to "
            f"rounding only; take {used}, or other results"
        )
    return _known_backend(str(used))


def open_backend(name: str, *, threads: int) -> "AbstractBackend":
    """Return the backend of a settled name."""
    if name == "reference":
        from simprune.backends.reference import ReferenceBackend

        return ReferenceBackend(threads=threads)
    if name == "cuda":
        from simprune.backends.cuda import CudaBackend
        from simprune.backends.cuda_gpu import gpu_device

        return CudaBackend(device=gpu_device())
    from simprune.backends.cpu import CpuBackend

    return CpuBackend(threads=threads)


def _known_backend(name: str) -> str:
    if name not in BACKENDS:
        raise InputError(f"backend must be a known name, got '{name}'; {nearest(name, BACKENDS)}")
    if name == "cuda":
        from simprune.backends.cuda_missing import missing

        if lacking := missing():
            raise InputError(f"the cuda backend cannot run here: {lacking}; or take --backend cpu")
    return "cpu" if name == "auto" else name


def without_cuda(design: Design | None) -> str | None:
    """Return why the design cannot be computed on a GPU here, None if it can."""
    from simprune.backends.cuda_missing import beyond_cuda, missing

    reasons = [reason for point in (design.points() if design else ()) if (reason := beyond_cuda(point))]
    return reasons[0] if reasons else missing()


def _driver_seen() -> bool:
    from simprune.backends.cuda_missing import driver_seen

    return driver_seen()


def _load(path: str | Path) -> Design:
    from simprune.design.file import load_design

    return load_design(path)


def _libraries() -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    found = sorted({f"{pool['internal_api']} {pool['version']}" for pool in threadpool_info() if pool["user_api"] == "blas"})
    return {"blas": ", ".join(found)}
