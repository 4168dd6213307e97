"""Python kernels to PTX, as the device's lazy compilation makes it; needs the CUDA packages, no driver and no GPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")


def compile_ptx(function: Callable[..., Any], signature: Any, cc: tuple[int, int] = (9, 0)) -> str:
    """Return the PTX of an undecorated kernel for a compute capability; ``signature`` is ``types.void(...)``."""
    from numba import cuda

    text, _ = cuda.compile(function, signature, device=False, abi="numba", cc=cc, output="ptx")
    return str(text)


@functools.cache
def array(kind: Any, n_axes: int = 1) -> Any:
    """Return the Numba type of a C-contiguous array."""
    from numba import types

    return types.Array(kind, n_axes, "C")
