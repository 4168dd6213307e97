"""The NumPy backend: slow, obvious, float64 arithmetic throughout; what the others are tested against."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from simprune.backends import reference_bounds as bounds
from simprune.backends import reference_exact as exact
from simprune.backends import reference_passes as passes
from simprune.backends import reference_sampling as sampling
from simprune.backends import reference_semidefinite as semidefinite
from simprune.backends.base import AbstractBackend, BatchOps, HostColumns, Trial, Trials
from simprune.backends.reference_conv_ops import ConvReferenceOps
from simprune.backends.reference_passes import Moved, Passed
from simprune.design.point import Point
from simprune.gap.base import Array, Doubles, LayerNorms
from simprune.gap.semidefinite import slope_bound
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import Purpose
from simprune.trained.network import TrainedNetwork

Layers = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferencePruned:
    """Masks (True = kept) and pruned entries ``[n_trials, d_out, d_in]`` by layer; counts ``[n_trials, depth]``."""

    masks: tuple[npt.NDArray[np.bool_], ...]
    deltas: tuple[Doubles, ...]
    n_pruned: npt.NDArray[np.int64]
    threshold: Doubles


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceOps(HostColumns):
    """A batch of targets: ``stored`` weights in the point's precision, ``biases`` by layer, keys ``[n_trials, D]``."""

    point: Point
    trials: Trials
    stored: Layers
    biases: Layers
    keys: tuple[sampling.Words, ...]

    @property
    def network(self) -> NetworkSpec:
        """The network of the batch."""
        return self.point.network

    @property
    def n_trials(self) -> int:
        """Number of trials of the batch."""
        return len(self.trials)

    @cached_property
    def weights(self) -> tuple[Doubles, ...]:
        """The stored weights in float64."""
        return tuple(w.astype(np.float64) for w in self.stored)

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Array:
        shape = (self.network.widths[0], count)
        points = [sampling.sphere_points(self.point.key, purpose, trial=t, shape=shape) for t in self.trials.tolist()]
        x = np.stack(points).astype(self.point.precision)
        if origin:
            x[:, :, 0] = 0.0
        return x

    def forward(self, x: Array) -> Passed:
        return passes.forward(self.network.activation, self.weights, self.biases, x.astype(np.float64))

    def output_norms(self, passed: Passed) -> Array:
        return passes.column_norms(passed.before[-1])

    def output_gradient(self, passed: Passed) -> Array:
        return passes.output_gradient(self.network.activation, self.weights, passed)

    def difference(self, passed: Passed, pruned: ReferencePruned) -> Moved:
        return passes.difference(self.network.activation, self.weights, pruned.deltas, passed)

    def gaps(self, moved: Moved) -> Array:
        return passes.column_norms(moved.before[-1])

    def gap_and_gradient(self, x: Array, pruned: ReferencePruned) -> tuple[Array, Array]:
        passed = self.forward(x)
        moved = self.difference(passed, pruned)
        gradient = passes.gap_gradient(self.network.activation, self.weights, pruned.deltas, passed, moved)
        return self.gaps(moved), gradient

    def step(self, x: Array, gradient: Array, length: Array) -> Array:
        moved = passes.step(x.astype(np.float64), gradient.astype(np.float64), length.astype(np.float64))
        return moved.astype(self.point.precision)

    def evaluate(self, x: Array, pruned: ReferencePruned) -> tuple[Doubles, Doubles]:
        activation = self.network.activation
        return bounds.evaluate(activation, self.weights, self.biases, pruned.deltas, x.astype(np.float64))

    def layer_norms(self, pruned: ReferencePruned) -> LayerNorms:
        left = [w - delta for w, delta in zip(self.weights, pruned.deltas, strict=True)]
        return LayerNorms(
            target=bounds.norm_bounds(self.weights), pruned=bounds.norm_bounds(left), delta=bounds.norm_bounds(pruned.deltas)
        )

    def linear_gap(self, pruned: ReferencePruned) -> Doubles:
        return bounds.linear_gap(self.weights, pruned.deltas)

    def semidefinite_gap(
        self, pruned: ReferencePruned, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> Doubles:
        slope = slope_bound(self.network)
        gaps = np.full(self.n_trials, np.inf)
        for t in np.flatnonzero(wanted & (norms.delta.max(axis=1) > 0.0)):
            weights, deltas = [w[t] for w in self.weights], [d[t] for d in pruned.deltas]
            gaps[t] = semidefinite.certified_gap(weights, deltas, self.biases, slope, steps=steps)
        return gaps

    def exact_gap(self, pruned: ReferencePruned, floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        found = [
            exact.certified_supremum(
                exact.Problem(
                    activation=self.network.activation,
                    weights=[w[t] for w in self.weights],
                    deltas=[d[t] for d in pruned.deltas],
                    biases=self.biases,
                ),
                floors[t],
                tolerance=tolerance,
                cells=cells,
            )
            for t in range(self.n_trials)
        ]
        return np.array([upper for upper, _ in found]), np.stack([x for _, x in found])

    def bias_norms(self) -> tuple[float, ...]:
        return tuple(bounds.vector_norm_bound(b) for b in self.biases)

    def prune(self, rules: Sequence[AbstractPruningRule]) -> list[ReferencePruned]:
        return [self._prune(rule) for rule in rules]

    def _prune(self, rule: AbstractPruningRule) -> ReferencePruned:
        masks = tuple(
            np.stack([self._mask(rule, layer, row) for row in range(self.n_trials)]) for layer in range(len(self.weights))
        )
        pairs = list(zip(self.weights, masks, strict=True))
        threshold = [np.min(np.abs(w), axis=(1, 2), where=mask, initial=np.inf) for w, mask in pairs]
        return ReferencePruned(
            masks=masks,
            deltas=tuple(np.where(mask, 0.0, w) for w, mask in pairs),
            n_pruned=np.stack([np.count_nonzero(~mask, axis=(1, 2)) for mask in masks], axis=1).astype(np.int64),
            threshold=np.stack(threshold, axis=1),
        )

    def _mask(self, rule: AbstractPruningRule, layer: int, row: int) -> npt.NDArray[np.bool_]:
        if rule.whole_rows:
            return self._row_mask(rule, layer, row)
        weight_keys = self.keys[layer][row]
        bits = sampling.KEY_BITS[self.point.precision]
        address = {"trial": int(self.trials[row]), "count": len(weight_keys), "bits": bits}
        mask_keys, _ = sampling.rank_keys(self.point.key, Purpose.MASK, layer, **address)
        mask = sampling.kept(rule, weight_keys, mask_keys, layer=layer, bits=bits)
        return mask.reshape(self.network.shapes[layer])

    def _row_mask(self, rule: AbstractPruningRule, layer: int, row: int) -> npt.NDArray[np.bool_]:
        matrix = self.weights[layer][row]
        address = {"trial": int(self.trials[row]), "count": len(matrix), "bits": sampling.KEY_BITS[self.point.precision]}
        random_keys, _ = sampling.rank_keys(self.point.key, Purpose.MASK, layer, **address)
        scores = random_keys if rule.is_random else np.sum(matrix**2, axis=1)
        mask = np.ones(matrix.shape, dtype=np.bool_)
        mask[np.argsort(scores, kind="stable")[: rule.n_pruned(len(matrix), layer)]] = False
        return mask


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceBackend(AbstractBackend):
    """NumPy, float64 arithmetic for points of either precision."""

    name: ClassVar[str] = "reference"

    def open(self, point: Point, trials: Trials, trained: TrainedNetwork | None) -> BatchOps:
        ops = _opened(point, trials, trained)
        return ops if point.network.chain is None else ConvReferenceOps(base=ops)

    def batch_size(self, point: Point) -> int:
        return 8

    def rebuild(self, point: Point, trial: int, trained: TrainedNetwork | None) -> Trial:
        ops = _opened(point, np.array([trial], dtype=np.int64), trained)
        (pruned,) = ops.prune([point.rule])
        shapes = point.network.weight_shapes
        target = tuple(w[0].reshape(shape).copy() for w, shape in zip(ops.stored, shapes, strict=True))
        masks = tuple(mask[0].reshape(shape) for mask, shape in zip(pruned.masks, shapes, strict=True))
        left = tuple(np.where(mask, w, np.zeros((), w.dtype)) for w, mask in zip(target, masks, strict=True))
        return Trial(target=target, pruned=left, masks=masks, biases=tuple(b.astype(point.precision) for b in ops.biases))


def _opened(point: Point, trials: Trials, trained: TrainedNetwork | None) -> ReferenceOps:
    if isinstance(point.network.target, SampledTarget):
        stored, biases, keys = _sampled(point, trials)
    else:
        stored, biases, keys = _fixed(point, trials, trained)
    return ReferenceOps(point=point, trials=trials, stored=stored, biases=biases, keys=keys)


def _sampled(point: Point, trials: Trials) -> tuple[Layers, Layers, tuple[sampling.Words, ...]]:
    stored, keys = [], []
    for layer in range(point.network.depth):
        drawn = [
            sampling.sampled_layer(point.network, point.key, layer=layer, trial=t, precision=point.precision)
            for t in trials.tolist()
        ]
        stored.append(np.stack([weights for weights, _ in drawn]))
        keys.append(np.stack([k for _, k in drawn]))
    return tuple(stored), tuple(np.zeros(shape) for shape in point.network.bias_shapes), tuple(keys)


def _fixed(
    point: Point, trials: Trials, trained: TrainedNetwork | None
) -> tuple[Layers, Layers, tuple[sampling.Words, ...]]:
    target = point.network.target
    if trained is None or not isinstance(target, FixedTarget) or trained.sha256 != target.sha256:
        came = "none" if trained is None else trained.origin
        raise InputError(f"a fixed target must come with the weights that its sha256 names, got {came}; load that file")
    if (trained.widths, trained.chain) != (point.network.widths, point.network.chain):
        raise InputError(
            f"widths and layers must be those of {trained.origin}, widths {list(trained.widths)}, "
            f"got {list(point.network.widths)}; mend them"
        )
    rows = (len(trials), 1, 1)
    pairs = zip(trained.weights, point.network.shapes, strict=True)
    stored = tuple(np.tile(w.astype(point.precision).reshape(shape), rows) for w, shape in pairs)
    biases = tuple(b.astype(point.precision).astype(np.float64) for b in trained.biases)
    keys = tuple(np.stack([sampling.keys_of_values(w) for w in layer]) for layer in stored)
    return stored, biases, keys
