"""Pruning of whole rows of a layer: neurons of a matrix, filters of a convolution."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def row_energies(weights: Array, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the squared length of every row, ``[n_trials, rows]``, summed in order; ``weights`` is ``[n_trials, D]``."""
    squares = weights.reshape(-1, *shape).astype(np.float64) ** 2
    return np.ascontiguousarray(np.cumsum(squares, axis=2)[:, :, -1])


def smallest_rows(scores: Array, n_rows: int) -> Array:
    """Return the rising indices of the ``n_rows`` smallest scores of every trial, ties to the lower index."""
    return np.sort(np.argsort(scores, axis=1, kind="stable")[:, :n_rows], axis=1)


def row_entries(weights: Array, shape: tuple[int, int], gone: Array) -> tuple[Array, Array, Array, Array]:
    """Return -Delta as compressed rows (starts, columns, values) and the smallest kept magnitude of every trial."""
    rows, columns = shape
    n, k = gone.shape
    matrices, pruned = weights.reshape(n, rows, columns), np.zeros((n, rows), dtype=np.bool_)
    np.put_along_axis(pruned, gone, True, axis=1)
    starts = np.zeros((n, rows + 1), dtype=np.int64)
    np.cumsum(pruned * columns, axis=1, out=starts[:, 1:])
    index = np.tile(np.arange(columns, dtype=np.int32), (n, k))
    values = -np.take_along_axis(matrices, gone[:, :, None], axis=1).reshape(n, k * columns)
    kept = np.where(pruned[:, :, None], np.inf, np.abs(matrices)).min(axis=(1, 2)).astype(np.float64)
    return starts, index, np.ascontiguousarray(values), kept
