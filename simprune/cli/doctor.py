"""``simprune doctor``: what this machine offers, and why something is missing."""

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click


@click.command(short_help="Tell what this machine offers.")
def doctor() -> None:
    """Tell what this machine offers: processors, kernels, GPU, HDF5, Dask, SLURM, and why something is missing."""
    for name, text in _findings():
        click.echo(f"{name + ':':<12}{text}")


def _findings() -> Iterator[tuple[str, str]]:
    import simprune

    yield (
        "simprune",
        f"{simprune.__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )
    yield "processors", f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}"
    yield "memory", _memory()
    yield "kernels", _kernels()
    yield "gpu", _gpu()
    yield "hdf5", _hdf5()
    yield "dask", f"distributed {_version('distributed')}; local workers listen on 127.0.0.1 only"
    yield "slurm", _slurm()


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.1f} GiB"


def _kernels() -> str:
    from simprune.backends import compile as door

    state = "compiled" if door.is_warm() else "not compiled yet (the first run compiles them, once)"
    return f"numba {_version('numba')}, {state}, cached in {door.CACHE}; threads are plain Python threads over trials"


def _gpu() -> str:
    from simprune.backends.cuda_missing import missing

    if lacking := missing():
        return f"not usable: {lacking}"
    from simprune.backends.cuda_gpu import describe

    return describe()


def _hdf5() -> str:
    import h5py

    return f"HDF5 {h5py.version.hdf5_version}, h5py {h5py.version.version}"


def _slurm() -> str:
    if job := os.environ.get("SLURM_JOB_ID"):
        return f"inside job {job}"
    found = shutil.which("sbatch")
    if not found:
        return "not seen (no sbatch on PATH); start Dask workers by hand and give tls://host:port"
    package = _version("dask-jobqueue")
    use = "run --scheduler slurm, or job-script slurm" if package != "not installed" else "install simprune[hpc] to use it"
    return f"{found} found, dask-jobqueue {package}; {use}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
