"""Weights and pruned entries of networks with convolutions, one layer at a time, by the kernels of matrices.

A kernel is a matrix with one row an output channel; sampling, rank keys and exact selection do not know the difference.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import batch, batch_pruning, conv_passes
from simprune.backends.base import Trials
from simprune.backends.conv_plan import LayerPlan
from simprune.backends.conv_weights import SparseWeights, SpreadWeights, multiplies_densely, spread_weights, written_out
from simprune.backends.filters import row_energies, row_entries, smallest_rows
from simprune.backends.sampling import LAW_CODES
from simprune.backends.selection import bracket
from simprune.design.point import Point
from simprune.model.distributions import AbstractDistribution
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import Purpose, stream
from simprune.trained.network import TrainedNetwork

Array = npt.NDArray[Any]
Entries = tuple[Array, Array, Array]
KEY_BITS = {"float32": 31, "float64": 53}
KEY_TYPES: dict[str, Any] = {"float32": np.int32, "float64": np.int64}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerSample:
    """Weights and rank keys of one layer, both ``[n_trials, n_weights]``, and where it stands."""

    number: int
    plan: LayerPlan
    weights: Array
    keys: Array
    law: AbstractDistribution | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrunedLayer:
    """Compressed rows of -Delta of one layer; counts and thresholds ``[n_trials]``.

    ``is_dense``: they are many, and faster multiplied as dense weights.
    """

    plan: LayerPlan
    entries: Entries
    n_pruned: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    is_dense: bool = False
    _made: dict[str, Any] = field(default_factory=dict)

    @property
    def forward(self) -> SpreadWeights | SparseWeights:
        """-Delta for the forward pass."""
        if "forward" not in self._made:
            if self.is_dense:
                self._made["forward"] = spread_weights(self.plan.forward, self._written_out)
            else:
                self._made["forward"] = SparseWeights(correlation=self.plan.forward, entries=self.entries)
        made: SpreadWeights | SparseWeights = self._made["forward"]
        return made

    @property
    def adjoint(self) -> SpreadWeights | SparseWeights:
        """-Delta for the adjoint."""
        if "adjoint" not in self._made:
            if self.is_dense:
                self._made["adjoint"] = spread_weights(self.plan.adjoint, self._written_out[:, self.plan.order])
            else:
                self._made["adjoint"] = SparseWeights(correlation=self.plan.adjoint, entries=self._turned())
        made: SpreadWeights | SparseWeights = self._made["adjoint"]
        return made

    @property
    def _written_out(self) -> Array:
        return written_out(self.entries, self.plan.columns)

    def _turned(self) -> Entries:
        starts, columns, values = self.entries
        turned = (
            np.empty((len(starts), self.plan.n_turned + 1), dtype=np.int64),
            np.empty_like(columns),
            np.empty_like(values),
        )
        conv_passes.turn_entries((self.plan.columns, self.plan.row, self.plan.column), *self.entries, turned)
        return turned


def sampled_layer(point: Point, trials: Trials, number: int, plan: LayerPlan) -> LayerSample:
    """Draw one layer of every trial's target."""
    law, key_type = point.network.distribution, KEY_TYPES[point.precision]
    assert law is not None
    shape = (len(trials), plan.rows * plan.columns)
    weights, keys = np.empty(shape, point.precision), np.empty(shape, key_type)
    fill = batch.sample32 if point.precision == "float32" else batch.sample64
    streams = _streams((Purpose.WEIGHT, Purpose.WEIGHT_LOW), number)
    scales, at = np.array([point.network.scales[number]]), np.array([0, shape[1]], dtype=np.int64)
    fill(*point.key, streams, trials, LAW_CODES[type(law)], scales, at, weights, keys)
    return LayerSample(number=number, plan=plan, weights=weights, keys=keys, law=law)


def trained_layer(point: Point, trained: TrainedNetwork, n_trials: int, number: int, plan: LayerPlan) -> LayerSample:
    """Repeat one layer of a trained network for every trial; magnitudes rank as the bits of |w|."""
    weights = np.tile(trained.weights[number].astype(point.precision).ravel(), (n_trials, 1))
    keys = np.abs(weights).view(KEY_TYPES[point.precision])
    return LayerSample(number=number, plan=plan, weights=weights, keys=keys, law=None)


def mask_keys(point: Point, trials: Trials, sample: LayerSample) -> Array:
    """Return the random rank keys of a layer."""
    keys = np.empty_like(sample.keys)
    at = np.array([0, keys.shape[1]], dtype=np.int64)
    batch.mask_keys(*point.key, _streams((Purpose.MASK, Purpose.MASK_LOW), sample.number), trials, at, keys)
    return keys


def prune_layer(sample: LayerSample, keys: Array, rule: AbstractPruningRule, precision: str) -> PrunedLayer:
    """Prune one layer by the smallest ``keys`` (the weights' own or random ones)."""
    if rule.whole_rows:
        return _prune_rows(sample, keys, rule)
    n_weights = keys.shape[1]
    n_pruned = rule.n_pruned(n_weights, sample.number)
    if rule.exact_count:
        pruned = _room(sample, n_pruned, n_pruned)
        counts, thresholds = pruned.n_pruned[:, None], pruned.threshold[:, None]
        brackets = _brackets(sample, keys, rule, n_pruned, precision)
        args = (_shape(sample), sample.weights, keys, np.array([n_pruned]), brackets, not rule.is_random)
        batch_pruning.prune_smallest(*args, _entries(pruned), counts, thresholds)
        return pruned
    bits = KEY_BITS[precision]
    bound = np.array([min((n_pruned << bits) // n_weights, (1 << bits) - 1)], dtype=keys.dtype)
    pruned = _room(sample, n_pruned, min(n_weights, n_pruned + 12 * int(n_pruned**0.5) + 64))
    while True:
        counts, thresholds = pruned.n_pruned[:, None], pruned.threshold[:, None]
        batch_pruning.prune_below(_shape(sample), sample.weights, keys, bound, _entries(pruned), counts, thresholds)
        if (pruned.n_pruned >= 0).all():
            return pruned
        pruned = _room(sample, n_pruned, n_weights)


def _prune_rows(sample: LayerSample, keys: Array, rule: AbstractPruningRule) -> PrunedLayer:
    plan, n_trials = sample.plan, len(keys)
    shape = (plan.rows, plan.columns)
    scores = keys[:, : plan.rows] if rule.is_random else row_energies(sample.weights, shape)
    gone = smallest_rows(scores, rule.n_pruned(plan.rows, sample.number))
    *entries, kept = row_entries(sample.weights, shape, gone)
    n_pruned = np.full(n_trials, gone.shape[1] * plan.columns, dtype=np.int64)
    starts, columns, values = entries
    return PrunedLayer(
        plan=plan,
        entries=(starts, columns, values),
        n_pruned=n_pruned,
        threshold=kept,
        is_dense=multiplies_densely(plan, gone.shape[1] * plan.columns),
    )


def _shape(sample: LayerSample) -> tuple[Array, Array, Array]:
    plan = sample.plan
    sizes = ([plan.columns, plan.rows], [0, plan.rows * plan.columns], [0, plan.rows])
    widths, at, rows = (np.array(size, dtype=np.int64) for size in sizes)
    return widths, at, rows


def _room(sample: LayerSample, n_pruned: int, most: int) -> PrunedLayer:
    """Return a layer to be filled, ``n_pruned`` entries expected and room for ``most``."""
    n, plan = len(sample.weights), sample.plan
    room = max(most, 1)
    entries = (
        np.zeros((n, plan.rows + 1), dtype=np.int64),
        np.empty((n, room), dtype=np.int32),
        np.zeros((n, room), dtype=sample.weights.dtype),
    )
    return PrunedLayer(
        plan=plan,
        entries=entries,
        n_pruned=np.empty(n, np.int64),
        threshold=np.empty(n, np.float64),
        is_dense=multiplies_densely(plan, n_pruned),
    )


def _entries(pruned: PrunedLayer) -> tuple[Array, Array, Array, Array]:
    return np.array([0, pruned.entries[1].shape[1]], dtype=np.int64), *pruned.entries


def _brackets(sample: LayerSample, keys: Array, rule: AbstractPruningRule, k: int, precision: str) -> Array:
    """Return keys around the k-th smallest, ``[2, 1]``: theory's for i.i.d. keys, the data's own for trained weights."""
    n_weights = keys.shape[1]
    if rule.is_random or (sample.law is not None and sample.law.is_continuous):
        found = _theory_bracket(n_weights, k, (1 << KEY_BITS[precision]) - 1)
    elif sample.law is not None:
        found = (0, 0)
    else:
        nearby = sorted({max(k - 1, 0), min(k, n_weights - 1)})
        ranked = np.partition(keys[0], nearby)[nearby]
        found = (int(ranked[0]) if k else 0, int(ranked[-1]))
    return np.array(found, dtype=keys.dtype)[:, None]


@lru_cache(maxsize=1024)
def _theory_bracket(n_weights: int, k: int, top: int) -> tuple[int, int]:
    return bracket(n_weights, k, top)


def _streams(purposes: tuple[Purpose, Purpose], number: int) -> Array:
    return np.array([[stream(purpose, number)] for purpose in purposes])
