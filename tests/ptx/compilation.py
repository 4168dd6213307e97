"""Python kernels to PTX, by the door that launches go through; needs the CUDA packages, but no driver and no GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from numba import types

from simprune.backends.compile_cuda import cuda, ptx_of

__all__ = ["array", "compile_ptx", "cuda", "types"]


def compile_ptx(function: Callable[..., Any], signature: Sequence[Any], cc: tuple[int, int] = (9, 0)) -> str:
    """Return the PTX of an undecorated kernel with these argument types for a compute capability."""
    return ptx_of(function, signature, [cc])[cc]


def array(kind: Any, n_axes: int = 1) -> Any:
    """Return the Numba type of a C-contiguous array."""
    return types.Array(kind, n_axes, "C")
