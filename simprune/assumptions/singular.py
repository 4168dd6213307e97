"""Largest singular values of many matrices at a time, by Golub-Kahan-Lanczos bidiagonalisation.

A Ritz value never exceeds the singular value, up to rounding; without reorthogonalisation copies of converged values
appear, which does not move the largest. Golub and Kahan, SIAM J. Numer. Anal. 2 (1965).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Product = Callable[[Array], Array]

STEPS = 60
_ROUNDING = {kind: np.dtype(kind).type(30.0 * np.finfo(kind).eps) for kind in "fd"}
_SEED = 20260301


def spectral_norm(matrix: Array) -> float:
    """Return the largest singular value, from below; 60 steps come within about 0.01 % for random and trained layers.

    >>> round(spectral_norm(np.diag([3.0, 1.0])), 12)
    3.0
    """
    size = np.abs(matrix).max() or 1.0
    return float(spectral_norms((matrix / size)[None], steps=STEPS)[0]) * float(size)


def sparse_norm(matrix: sparse.csr_array) -> float:
    """Return the largest singular value of a sparse matrix, as ``spectral_norm``."""
    size = np.abs(matrix.data).max(initial=0.0) or 1.0
    matrix = matrix / size
    turned = matrix.T.tocsr()
    start = _starts(1, matrix.shape[1], matrix.dtype)
    steps = min(STEPS, *matrix.shape)
    found = _largest(lambda v: (matrix @ v[0])[None], lambda u: (turned @ u[0])[None], start, steps=steps)
    return float(found[0]) * float(size)


def spectral_norms(stack: Array, *, steps: int) -> Doubles:
    """Return the largest singular values ``[b]`` of ``[b, n, m]`` from below, after at most ``steps`` steps."""
    turned = stack.swapaxes(1, 2)
    return _largest(
        lambda v: np.matmul(stack, v[..., None])[..., 0],
        lambda u: np.matmul(turned, u[..., None])[..., 0],
        _starts(len(stack), stack.shape[2], stack.dtype),
        steps=min(steps, *stack.shape[1:]),
    )


def _largest(apply: Product, adjoint: Product, start: Array, *, steps: int) -> Doubles:
    bidiagonal = np.zeros((len(start), steps, steps + 1))
    v, u = start, np.zeros((len(start), 1), dtype=start.dtype)
    above = least = u
    for i in range(steps):
        u, diagonal = _unit(apply(v) - above * u, least)
        least = np.maximum(least, _ROUNDING[start.dtype.char] * diagonal)
        v, above = _unit(adjoint(u) - diagonal * v, least)
        bidiagonal[:, i, i], bidiagonal[:, i, i + 1] = diagonal[:, 0], above[:, 0]
    return np.asarray(np.linalg.svd(bidiagonal, compute_uv=False)[:, 0])


def _unit(rows: Array, least: Array) -> tuple[Array, Array]:
    """Return unit rows and their lengths ``[b, 1]``; a length up to ``least`` is rounding and counts as zero."""
    lengths = np.sqrt(np.matmul(rows[:, None, :], rows[:, :, None])[:, 0])
    lengths[lengths <= least] = 0.0
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
    return rows * inverse, lengths


def _starts(count: int, size: int, dtype: Any) -> Array:
    return np.tile(_start(size).astype(dtype), (count, 1))


@lru_cache(maxsize=16)
def _start(size: int) -> Doubles:
    start = np.random.default_rng(_SEED).standard_normal(size)
    return start / np.linalg.norm(start)
