"""Is the order of the entries random? Every statistic here is compared with the same entries at random positions.

The entries of an i.i.d. layer are exchangeable whatever their law, so permutations give the exact null. Magnitude
pruning needs more than the law of the weights: the positions of the small ones must be a uniformly random subset.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from simprune.assumptions.layer import Levels, Sample
from simprune.assumptions.replicates import Replicates
from simprune.assumptions.singular import spectral_norms

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

PLACEMENT, SPECTRUM = "placement", "spectrum"
KINDS = (PLACEMENT, "row sizes", "column sizes", "rows", "columns", SPECTRUM)
STEPS = 16
_BATCH = 1 << 16


def exchanges(sample: Sample, *, replicates: int, rng: np.random.Generator) -> dict[str, Replicates]:
    """Return the statistics of a sample, by kind; "placement" has one variant a pruning, least pruned last.

    - placement: ||Delta||, the spectral norm of the pruned part;
    - row sizes, column sizes: sum of the fourth powers of the rows' (columns') lengths about the mean of all entries;
    - rows, columns: root mean square cosine between two rows (columns), about the mean of all entries;
    - spectrum: the largest singular value about the mean of all entries.
    """
    orders = _orders(sample, replicates, rng)
    table = np.concatenate([_statistics(*order, n_levels=sample.n_levels) for order in orders], axis=1)
    others = len(KINDS) - 1
    found = {kind: Replicates(values=table[i : i + 1], two_sided=True) for i, kind in enumerate(KINDS[1:])}
    return {PLACEMENT: Replicates(values=table[others:], two_sided=True)} | found


def _orders(sample: Sample, replicates: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Levels]]:
    """Yield the sample, then stacks ``[b, n, m]`` of its entries in random orders, each with its level.

    Value and level of an entry travel in one 64-bit word, so that a shuffle moves both.
    """
    scale = np.abs(sample.values).max()
    values = (sample.values / scale).astype(np.float32)
    yield values[None], sample.levels[None]
    words = np.empty((values.size, 2), dtype=np.uint32)
    words[:, 0], words[:, 1] = values.ravel().view(np.uint32), sample.levels.ravel()
    packed = words.view(np.uint64)[:, 0]
    size = max(1, _BATCH // values.size)
    for at in range(0, replicates, size):
        stack = np.tile(packed, (min(size, replicates - at), 1))
        for row in stack:
            rng.shuffle(row)
        pairs = stack.view(np.uint32).reshape(-1, *values.shape, 2)
        yield np.ascontiguousarray(pairs[..., 0]).view(np.float32), pairs[..., 1].astype(np.uint8)


def _statistics(values: Floats, levels: Levels, *, n_levels: int) -> Doubles:
    """Return ``[kinds, b]`` of stacks ``[b, n, m]``; placement last, a row for every pruning, the largest first."""
    centred = values - values.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)
    squares = centred**2
    by_row, by_column = squares.sum(axis=2), squares.sum(axis=1)
    removed = [np.where(levels >= level, values, np.float32(0.0)) for level in range(1, n_levels + 1)]
    norms = spectral_norms(np.concatenate([centred, *removed]), steps=STEPS).reshape(1 + n_levels, -1)
    return np.array(
        [
            np.sum(by_row.astype(np.float64) ** 2, axis=1),
            np.sum(by_column.astype(np.float64) ** 2, axis=1),
            _cosines(centred / _lengths(by_row)[:, :, None], by_row.shape[1]),
            _cosines(centred / _lengths(by_column)[:, None, :], by_column.shape[1]),
            *norms,
        ]
    )


def _lengths(squares: Floats) -> Floats:
    return np.asarray(np.where(squares > 0.0, np.sqrt(squares), np.float32(1.0)))


def _cosines(unit: Floats, count: int) -> Doubles:
    """Return the root mean square cosine between different ones of ``count`` unit rows, or columns, of ``[b, n, m]``."""
    side = unit if unit.shape[1] <= unit.shape[2] else unit.swapaxes(1, 2)
    gram = np.matmul(side, side.swapaxes(1, 2))
    total = np.einsum("bij,bij->b", gram, gram, dtype=np.float64)
    return np.asarray(np.sqrt(np.maximum(total - count, 0.0) / (count * (count - 1))))
