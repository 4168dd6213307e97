"""The host's copy of a micro-batch of a device: certificates are proofs in float64 and run on the CPU backend."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.base import Trials
from simprune.backends.conv_cpu import ConvOps, ConvPruned
from simprune.backends.conv_plan import layer_plan
from simprune.backends.conv_sampling import LayerSample, PrunedLayer
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


class ConvHostTwin(ConvOps):
    """The same for networks with convolutions or pooling."""

    def __init__(self, point: Point, trials: Trials, trained: TrainedNetwork | None, weights: Array) -> None:
        self._given = weights
        super().__init__(point, trials, trained)

    def _sampled(self, trained: TrainedNetwork | None) -> list[LayerSample]:
        cuts = np.cumsum(self.network.n_weights)[:-1]
        keys = np.empty((self.n_trials, 0), np.uint64)
        return [
            LayerSample(number=i, plan=layer_plan(stage), weights=np.ascontiguousarray(part), keys=keys, law=None)
            for i, (stage, part) in enumerate(zip(self.network.weighted, np.split(self._given, cuts, axis=1), strict=True))
        ]

    def pruned_by(self, masks: Sequence[npt.NDArray[np.bool_]]) -> ConvPruned:
        """Return the pruned entries that the masks (True = kept, ``[n_trials, rows, columns]`` a layer) name."""
        layers = tuple(_pruned_layer(sample, mask) for sample, mask in zip(self.samples, masks, strict=True))
        counts = np.stack([layer.n_pruned for layer in layers], axis=1)
        return ConvPruned(layers=layers, n_pruned=counts, threshold=np.full(counts.shape, np.nan))


def _pruned_layer(sample: LayerSample, mask: npt.NDArray[np.bool_]) -> PrunedLayer:
    counts = np.count_nonzero(~mask, axis=2)
    totals = counts.sum(axis=1).astype(np.int64)
    starts = np.zeros((len(mask), mask.shape[1] + 1), dtype=np.int64)
    np.cumsum(counts, axis=1, out=starts[:, 1:])
    columns = np.zeros((len(mask), max(1, int(totals.max()))), dtype=np.int32)
    values = np.zeros(columns.shape, dtype=sample.weights.dtype)
    for t, gone in enumerate(~mask):
        columns[t, : totals[t]] = np.nonzero(gone)[1]
        values[t, : totals[t]] = -sample.weights[t].reshape(gone.shape)[gone]
    threshold = np.full(len(mask), np.nan)
    return PrunedLayer(plan=sample.plan, entries=(starts, columns, values), n_pruned=totals, threshold=threshold)
