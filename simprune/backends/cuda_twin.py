"""The host's copy of a micro-batch of a device: certificates are proofs in float64 and run on the CPU backend."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.base import Trials
from simprune.backends.cpu import CpuOps
from simprune.backends.cpu_pruned import CpuPruned
from simprune.design.point import Point
from simprune.trained.network import TrainedNetwork

Array = npt.NDArray[Any]


class HostTwin(CpuOps):
    """The CPU's operations on weights and masks that a device made."""

    def __init__(self, point: Point, trials: Trials, trained: TrainedNetwork | None, weights: Array) -> None:
        self._given = weights
        super().__init__(point, trials, trained)

    def _sample(self) -> tuple[Array, Array]:
        return self._given, np.empty((self.n_trials, 0), self._key_dtype)

    def pruned_by(self, masks: Sequence[npt.NDArray[np.bool_]]) -> CpuPruned:
        """Return the pruned entries that the masks (True = kept, ``[n_trials, d_out, d_in]`` a layer) name."""
        counts = np.stack([np.count_nonzero(~mask, axis=(1, 2)) for mask in masks], axis=1).astype(np.int64)
        pruned = self._room_for(counts.max(axis=0).tolist())
        pruned.n_pruned[:] = counts
        pruned.threshold[:] = np.nan
        first = 0
        for layer, mask in enumerate(masks):
            d_out, d_in = mask.shape[1:]
            flat = self.weights[:, self._layout.at[layer] : self._layout.at[layer + 1]].reshape(-1, d_out, d_in)
            spot = int(pruned.room[layer])
            for t in range(self.n_trials):
                rows, columns = np.nonzero(~mask[t])
                pruned.starts[t, first + 1 : first + d_out + 1] = np.cumsum(np.bincount(rows, minlength=d_out))
                pruned.columns[t, spot : spot + rows.size] = columns
                pruned.values[t, spot : spot + rows.size] = -flat[t][~mask[t]]
            first += d_out + 1
        return pruned
