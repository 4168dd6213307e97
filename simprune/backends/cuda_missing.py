"""Why the CUDA backend cannot run here, in one sentence; nothing heavy is imported while the answer is plain."""

import ctypes
from importlib.util import find_spec

from simprune.design.point import Point

MODULES = ("numba_cuda", "cuda.bindings")
MOST_WEIGHTS = (1 << 31) - 1
MOST_ENTRIES = (1 << 32) - 1
PACKAGES = "pip install 'simprune[cuda]'"


def beyond_cuda(point: Point) -> str | None:
    """Return what of a point the CUDA backend does not compute, None if it computes all of it."""
    if max(point.network.n_weights) > MOST_WEIGHTS:
        return "the cuda backend computes layers of at most 2^31 - 1 weights"
    columns = max((estimator.columns for estimator in point.estimators), default=1) + 7
    if max(point.network.widths) * columns > MOST_ENTRIES:
        return "the cuda backend computes layers of at most 2^32 - 1 outputs times inputs tried at once"
    return None


def driver_seen() -> bool:
    """Return whether NVIDIA's driver library can be loaded."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def missing() -> str | None:
    """Return what the CUDA backend lacks and how to get it, None if it can run."""
    if not driver_seen():
        return (
            "it needs an NVIDIA GPU with its driver, and libcuda.so.1 is not found here; install NVIDIA's driver (580 or "
            f"newer), and the packages by {PACKAGES}"
        )
    if not all(_found(name) for name in MODULES):
        return f"an NVIDIA driver is here, but the packages are not; {PACKAGES}"
    from simprune.backends.compile_cuda import cuda

    try:
        devices = len(cuda.gpus)
    except ImportError as error:
        return f"NVIDIA's driver does not start ({_line(error)}); install version 580 or newer"
    if devices == 0:
        return "the driver shows no GPU; see nvidia-smi and CUDA_VISIBLE_DEVICES"
    return None


def _found(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
