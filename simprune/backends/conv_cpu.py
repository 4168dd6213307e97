"""The CPU backend's operations for networks with convolutions or pooling."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import batch, certificates, conv_passes
from simprune.backends.base import HostColumns, Trial, Trials, bias_norm_bounds
from simprune.backends.conv_certificates import conv_norms
from simprune.backends.conv_linear import is_written_out, linear_gaps
from simprune.backends.conv_plan import layer_plan
from simprune.backends.conv_sampling import LayerSample, PrunedLayer, mask_keys, prune_layer, sampled_layer, trained_layer
from simprune.backends.conv_walk import Values, Walk
from simprune.backends.sampling import sphere_inputs
from simprune.design.point import Point
from simprune.gap.base import LayerNorms
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import Purpose, stream
from simprune.trained.network import TrainedNetwork

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
CACHE_BYTES = 12 << 20
MAX_BATCH = 16
TYPICAL_COLUMNS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvPruned:
    """Pruned entries of every trial, layer by layer; counts and thresholds ``[n_trials, depth]``."""

    layers: tuple[PrunedLayer, ...]
    n_pruned: npt.NDArray[np.int64]
    threshold: Doubles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passed:
    """A pass of the targets, or the deviations of the pruned networks, with the norms of the outputs."""

    values: Values
    norms: Array


class ConvOps(HostColumns):
    """The operations of ``gap.base.Ops`` on a micro-batch of networks with layers of any kind."""

    def __init__(self, point: Point, trials: Trials, trained: TrainedNetwork | None) -> None:
        self.point, self.trials = point, trials
        self.network, self.n_trials = point.network, len(trials)
        self.samples = self._sampled(trained)
        none = np.zeros(0, point.precision)
        biases = [none] * point.network.depth
        if trained is not None:
            biases = [b.astype(point.precision) if b.any() else none for b in trained.biases]
        self._walk = Walk(point.network, [sample.weights for sample in self.samples], biases)
        self._target_norms: Doubles | None = None

    def _sampled(self, trained: TrainedNetwork | None) -> list[LayerSample]:
        """Return weights and keys of every layer."""
        plans = enumerate(layer_plan(stage) for stage in self.network.weighted)
        if trained is None:
            return [sampled_layer(self.point, self.trials, i, plan) for i, plan in plans]
        return [trained_layer(self.point, trained, self.n_trials, i, plan) for i, plan in plans]

    @cached_property
    def _mask_keys(self) -> list[Array]:
        return [mask_keys(self.point, self.trials, sample) for sample in self.samples]

    def prune(self, rules: Sequence[AbstractPruningRule]) -> list[ConvPruned]:
        """Prune the batch by every rule."""
        return [self._prune(rule) for rule in rules]

    def _prune(self, rule: AbstractPruningRule) -> ConvPruned:
        keys = self._mask_keys if rule.is_random else [sample.keys for sample in self.samples]
        pairs = zip(self.samples, keys, strict=True)
        layers = tuple(prune_layer(sample, own, rule, self.point.precision) for sample, own in pairs)
        return ConvPruned(
            layers=layers,
            n_pruned=np.stack([layer.n_pruned for layer in layers], axis=1),
            threshold=np.stack([layer.threshold for layer in layers], axis=1),
        )

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Array:
        """Return ``count`` random unit vectors (the first one 0 for ``origin``), and zero columns up to a multiple of 8."""
        x = np.empty((self.n_trials, self.network.widths[0], (count + 7) // 8 * 8), self.point.precision)
        sphere_inputs(*self.point.key, stream(purpose, 0), self.trials, count, x)
        if origin:
            x[:, :, 0] = 0.0
        return x

    def forward(self, x: Array) -> Passed:
        """Run the targets."""
        values = self._walk.forward(x)
        return Passed(values=values, norms=_lengths(values)[0])

    def output_norms(self, passed: Passed) -> Array:
        """Return ||F(x)||."""
        return passed.norms

    def output_gradient(self, passed: Passed) -> Array:
        """Return the gradient of ||F(x)||."""
        return self._walk.pull(passed.values, _lengths(passed.values)[1])

    def difference(self, passed: Passed, pruned: ConvPruned) -> Passed:
        """Propagate f(x) - F(x)."""
        values = self._walk.difference(passed.values, pruned.layers)
        return Passed(values=values, norms=_lengths(values)[0])

    def gaps(self, moved: Passed) -> Array:
        """Return ||f(x) - F(x)||."""
        return moved.norms

    def gap_and_gradient(self, x: Array, pruned: ConvPruned) -> tuple[Array, Array]:
        """Return gap and gradient at x."""
        passed = self._walk.forward(x, reuse=True)
        moved = self._walk.difference(passed, pruned.layers, reuse=True)
        norms, units = _lengths(moved)
        return norms, self._walk.pull_difference(passed, moved, pruned.layers, units)

    def step(self, x: Array, gradient: Array, length: Array) -> Array:
        """Return the projected step."""
        out = np.empty_like(x)
        batch.move_all(x, gradient, length, out)
        return out

    def evaluate(self, x: Array, pruned: ConvPruned) -> tuple[Doubles, Doubles]:
        """Return gap and rounding error bound in float64."""
        return self._walk.evaluate(x, pruned.layers)

    def layer_norms(self, pruned: ConvPruned) -> LayerNorms:
        """Return certified norms; those of the targets are computed once for all points."""
        if self._target_norms is None:
            self._target_norms = self._norms(pruned, certificates.TARGET)
        kept, delta = self._norms(pruned, certificates.KEPT), self._norms(pruned, certificates.DELTA)
        return LayerNorms(target=self._target_norms, pruned=kept, delta=delta)

    def _norms(self, pruned: ConvPruned, kind: int) -> Doubles:
        pairs = zip(self.samples, pruned.layers, strict=True)
        return np.stack([conv_norms(sample.plan, sample.weights, layer.entries, kind) for sample, layer in pairs], axis=1)

    def linear_gap(self, pruned: ConvPruned) -> Doubles:
        """Return certified upper bounds of ||f - F|| for linear networks, none where its matrix would be too large."""
        if not is_written_out(self.network):
            return np.full(self.n_trials, np.inf)
        return linear_gaps(self.network, [sample.weights for sample in self.samples], pruned.layers)

    def semidefinite_gap(
        self, pruned: ConvPruned, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> Doubles:
        """Return no bound: the relaxation is one of fully connected networks."""
        return np.full(self.n_trials, np.inf)

    def exact_gap(self, pruned: ConvPruned, floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        """Return no bound: the exact estimator refuses these networks."""
        return np.full(self.n_trials, np.inf), np.zeros((self.n_trials, self.network.widths[0]))

    def bias_norms(self) -> tuple[float, ...]:
        """Return upper bounds of the norms of the biases at all positions."""
        return bias_norm_bounds(self._walk.biases, [sample.plan.positions for sample in self.samples])


def _lengths(values: Values) -> tuple[Array, Array]:
    """Return the norms of the outputs and the outputs divided by them."""
    out = values.at[-1]
    assert out is not None
    norms, units = np.empty((out.shape[0], out.shape[2]), out.dtype), np.empty_like(out)
    conv_passes.norms_and_units(out, norms, units)
    return norms, units


def conv_batch_size(network: NetworkSpec, precision: str) -> int:
    """Return how many trials' weights and images fill the cache."""
    numbers = 4 * sum(network.n_weights) + 4 * TYPICAL_COLUMNS * sum(network.widths)
    return max(1, min(MAX_BATCH, CACHE_BYTES // (numbers * np.dtype(precision).itemsize)))


def rebuild_conv(point: Point, trial: int, trained: TrainedNetwork | None) -> Trial:
    """Return the weights and masks of one trial."""
    ops = ConvOps(point, np.array([trial], dtype=np.int64), trained)
    pruned = ops.prune([point.rule])[0]
    shapes = point.network.weight_shapes
    target = [sample.weights[0].reshape(shape).copy() for sample, shape in zip(ops.samples, shapes, strict=True)]
    masks = [_mask(layer, sample, shape) for layer, sample, shape in zip(pruned.layers, ops.samples, shapes, strict=True)]
    biases = [np.zeros(shape) for shape in point.network.bias_shapes] if trained is None else trained.biases
    return Trial(
        target=tuple(target),
        pruned=tuple(np.where(m, w, w.dtype.type(0)) for w, m in zip(target, masks, strict=True)),
        masks=tuple(masks),
        biases=tuple(b.astype(point.precision) for b in biases),
    )


def _mask(layer: PrunedLayer, sample: LayerSample, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    starts, columns, _ = layer.entries
    mask = np.ones((sample.plan.rows, sample.plan.columns), dtype=np.bool_)
    rows = np.repeat(np.arange(sample.plan.rows), np.diff(starts[0]))
    mask[rows, columns[0, : int(starts[0, -1])]] = False
    return mask.reshape(shape)
