"""The one door to Numba: every compiled function of simprune goes through ``kernel``, ``inner`` or ``leaf``."""

import hashlib
import os
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core import config

from simprune.backends.linked import KernelCompiler, LinkedCompiler

PACKAGE = Path(__file__).resolve().parent.parent


def sources_hash() -> str:
    """Return a digest of the package's Python sources."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """Return the directory of compiled kernels, named after the sources.

    Numba checks only the file of the outermost function: a changed callee elsewhere would be served stale.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "simprune" / sources_hash()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError:
        directory = Path(tempfile.gettempdir()) / f"simprune-{os.getuid()}" / sources_hash()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


CACHE = cache_directory()
WITHOUT_ADDRESS: Any = {"no_cfunc_wrapper": True}
WITHOUT_WRAPPERS: Any = {"no_cpython_wrapper": True, **WITHOUT_ADDRESS}
# numpy's error model: a division by zero gives inf or nan and never raises inside a kernel. No fast-math: the order of
# operations is the order written, so that results are the same bits everywhere. nogil: trials run in threads.
OPTIONS: Any = {"error_model": "numpy", "fastmath": False, "nogil": True}


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls: lazily, cached on disk."""
    settings: Any = config
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(CACHE)
    try:
        return njit(cache=True, pipeline_class=KernelCompiler, **WITHOUT_ADDRESS, **OPTIONS)(function)
    finally:
        settings.CACHE_DIR = before


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that only kernels call, to code that is linked into them and has no wrappers for Python.

    Calling it from Python crashes the process: tests and benchmarks call ``kernel(function.py_func)``.
    """
    return njit(pipeline_class=LinkedCompiler, **WITHOUT_WRAPPERS, **OPTIONS)(function)


def leaf(function: Callable[..., Any]) -> Any:
    """Compile an undecorated scalar of the model; the plain functions that it calls by name are compiled as well."""
    names = {}
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, types.FunctionType) and called is not function:
            names[name] = leaf(called)
    bound = types.FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    return inner(bound)


def is_warm() -> bool:
    """Return whether the largest kernel of these sources is on disk, compiled."""
    return any(CACHE.rglob("batch.gap_and_gradient_all*.nbc"))
