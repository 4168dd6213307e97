"""The host's copy of a micro-batch of a device: certificates are proofs in float64 and run on the CPU backend."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.base import Trials
from simprune.backends.conv_cpu import ConvOps, ConvPruned
from simprune.backends.conv_plan import layer_plan
from simprune.backends.conv_sampling import LayerSample, PrunedLayer
from simprune.backends.cpu import CpuOps
from simprune.backends.cpu_pruned import CpuPruned
from simprune.backends.cuda_plan import mask_words
from simprune.backends.packed import list_entries
from simprune.design.point import Point
from simprune.gap.base import Doubles, LayerNorms
from simprune.trained.network import TrainedNetwork

Array = npt.NDArray[Any]
SIDES = ("target", "pruned", "delta")
Words = npt.NDArray[np.uint32]
Counts = npt.NDArray[np.int64]


class HostTwins:
    """Twins of consecutive trials of a micro-batch, one a thread: certificates of a trial are the same in any company."""

    def __init__(self, point: Point, trials: Trials, trained: TrainedNetwork | None, weights: Array) -> None:
        n_parts = min(len(trials), len(os.sched_getaffinity(0)))
        cuts = [len(trials) * i // n_parts for i in range(n_parts + 1)]
        self.parts = [slice(*ends) for ends in pairwise(cuts)]
        kind = HostTwin if point.network.chain is None else ConvHostTwin
        self._twins = self._all(lambda i: kind(point, trials[self.parts[i]], trained, weights[self.parts[i]]))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(len(self.parts))

    def _all(self, task: Callable[[int], Any]) -> list[Any]:
        return list(self._pool.map(task, range(len(self.parts))))

    def pruned_by(self, words: Words, counts: Counts) -> list[Any]:
        """Return the pruned entries of every part by packed masks ``[n_trials, words]`` and counts ``[n_trials, depth]``."""
        return self._all(lambda i: self._twins[i].pruned_by(words[self.parts[i]], counts[self.parts[i]]))

    def layer_norms(self, pruned: Sequence[Any]) -> LayerNorms:
        """Return certified spectral norms."""
        found = self._all(lambda i: self._twins[i].layer_norms(pruned[i]))
        return LayerNorms(**{side: np.concatenate([getattr(f, side) for f in found]) for side in SIDES})

    def linear_gap(self, pruned: Sequence[Any]) -> Doubles:
        """Return the certified gap of a linear network."""
        return np.concatenate(self._all(lambda i: self._twins[i].linear_gap(pruned[i])))

    def semidefinite_gap(
        self, pruned: Sequence[Any], norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> Doubles:
        """Return certified gaps of the semidefinite relaxation."""

        def of_part(i: int) -> Doubles:
            own = LayerNorms(**{side: getattr(norms, side)[self.parts[i]] for side in SIDES})
            gap: Doubles = self._twins[i].semidefinite_gap(pruned[i], own, wanted[self.parts[i]], steps=steps)
            return gap

        return np.concatenate(self._all(of_part))

    def exact_gap(self, pruned: Sequence[Any], floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        """Return certified gaps of the branch and bound and the best inputs."""
        found = self._all(
            lambda i: self._twins[i].exact_gap(pruned[i], floors[self.parts[i]], tolerance=tolerance, cells=cells)
        )
        gaps, inputs = zip(*found, strict=True)
        return np.concatenate(gaps), np.concatenate(inputs)


class HostTwin(CpuOps):
    """The CPU's operations on weights and masks that a device made."""

    def __init__(self, point: Point, trials: Trials, trained: TrainedNetwork | None, weights: Array) -> None:
        self._given = weights
        super().__init__(point, trials, trained)

    def _sample(self) -> tuple[Array, Array]:
        return self._given, np.empty((self.n_trials, 0), self._key_dtype)

    def pruned_by(self, words: Words, counts: Counts) -> CpuPruned:
        """Return the pruned entries that packed masks name, ``counts`` of them ``[n_trials, depth]``."""
        pruned = self._room_for(counts.max(axis=0).tolist())
        pruned.n_pruned[:] = counts
        pruned.threshold[:] = np.nan
        first, word = 0, 0
        for layer, (d_out, d_in) in enumerate(self.network.shapes):
            rows = (pruned.starts, first, pruned.columns, pruned.values, int(pruned.room[layer]))
            list_entries(words, word, (d_out, d_in), self.weights, int(self._layout.at[layer]), *rows)
            first, word = first + d_out + 1, word + mask_words(d_in, d_out)
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

    def pruned_by(self, words: Words, counts: Counts) -> ConvPruned:
        """Return the pruned entries that packed masks name, ``counts`` of them ``[n_trials, depth]``."""
        layers, word = [], 0
        for sample, shape, totals in zip(self.samples, self.network.shapes, counts.T, strict=True):
            layers.append(_pruned_layer(sample, shape, words, word, np.ascontiguousarray(totals)))
            word += mask_words(shape[1], shape[0])
        return ConvPruned(layers=tuple(layers), n_pruned=counts, threshold=np.full(counts.shape, np.nan))


def _pruned_layer(sample: LayerSample, shape: tuple[int, int], words: Words, first: int, totals: Counts) -> PrunedLayer:
    starts = np.empty((len(words), shape[0] + 1), dtype=np.int64)
    columns = np.zeros((len(words), max(1, int(totals.max()))), dtype=np.int32)
    values = np.zeros(columns.shape, dtype=sample.weights.dtype)
    list_entries(words, first, shape, sample.weights, 0, starts, 0, columns, values, 0)
    threshold = np.full(len(words), np.nan)
    return PrunedLayer(plan=sample.plan, entries=(starts, columns, values), n_pruned=totals, threshold=threshold)
