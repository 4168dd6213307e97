"""The CPU backend: Numba kernels on micro-batches of trials that fit the processor's cache."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from simprune.backends import batch, certificates, evaluation, exact, semidefinite
from simprune.backends.base import AbstractBackend, Trial, Trials, bias_norm_bounds
from simprune.backends.conv_cpu import ConvOps, conv_batch_size, rebuild_conv
from simprune.backends.cpu_batch import Array, CpuBatch
from simprune.backends.cpu_pruned import CpuPruned, JointEntries, Layout
from simprune.backends.helper import HELPER
from simprune.backends.memory import keep_freed_memory
from simprune.backends.sampling import sphere_inputs
from simprune.backends.tiles import PAIRED
from simprune.design.point import Point
from simprune.gap.base import LayerNorms
from simprune.gap.semidefinite import slope_bound
from simprune.rng import Purpose, stream
from simprune.trained.network import TrainedNetwork

CACHE_BYTES = 6 << 20
MAX_BATCH = 64
PANELS = 4


@dataclass(slots=True, kw_only=True, eq=False)
class Passed:
    """A forward pass of the targets: inputs, pre-activations and activations by stacked rows, output norms.

    Of 8 columns it has not run yet: the first deviation runs beside it, in the other half of the processor's vectors.
    ``joint``: the gaps of rules with joint entries, by their ``JointEntries``, found at once when the first is asked for.
    """

    x: Array
    z: Array
    h: Array
    norms: Array
    has_run: bool = False
    joint: dict[JointEntries, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """What deviations come to: the gaps."""

    norms: Array


class CpuOps(CpuBatch):
    """The operations of ``gap.base.Ops`` on a micro-batch."""

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Array:
        """Return ``count`` random unit vectors (for ``origin`` 0 first), and zero columns up to a multiple of 8."""
        x = np.empty((self.n_trials, self.network.widths[0], (count + 7) // 8 * 8), self._dtype)
        sphere_inputs(*self._key, stream(purpose, 0), self._trials, count, x)
        if origin:
            x[:, :, 0] = 0.0
        return x

    def forward(self, x: Array) -> Passed:
        """Run the targets, or let them wait for a deviation to run beside (``Passed``)."""
        shape = (self.n_trials, int(self._layout.rows[-1]), x.shape[2])
        z, h = np.empty(shape, self._dtype), np.empty(shape, self._dtype)
        passed = Passed(x=x, z=z, h=h, norms=np.empty((self.n_trials, x.shape[2]), self._dtype))
        return passed if x.shape[2] == PAIRED else self._run(passed)

    def _run(self, passed: Passed) -> Passed:
        if not passed.has_run:
            batch.forward_all(self._shape, self.weights, self._bias, self._activation, passed.x, passed.z, passed.h)
            batch.output_norms_all(self._layout.rows, passed.z, passed.norms)
            passed.has_run = True
        return passed

    def output_norms(self, passed: Passed) -> Array:
        """Return ||F(x)||."""
        return self._run(passed).norms

    def output_gradient(self, passed: Passed) -> Array:
        """Return the gradient of ||F(x)||."""
        self._run(passed)
        out = np.empty_like(passed.x)
        HELPER.wait("output_gradient")
        batch.output_gradient_all(self._shape, self._turned, self._activation, passed.z, passed.norms, out)
        return out

    def difference(self, passed: Passed, pruned: CpuPruned) -> Moved:
        """Propagate f(x) - F(x)."""
        joint = pruned.joint
        if joint is None:
            return Moved(norms=self._difference(passed, pruned.entries, np.empty_like(passed.norms)))
        if joint not in passed.joint:
            norms = passed.joint[joint] = np.empty((len(joint.entries[0]), *passed.norms.shape), self._dtype)
            places = joint.places
            if not passed.has_run:
                self._difference(passed, pruned.entries, norms[pruned.place])
                places = places[places != pruned.place]
            args = (self._shape, self.weights, joint.entries, places, self._activation, passed.x, passed.z, passed.h)
            batch.differences_all(*args, norms)
        return Moved(norms=passed.joint[joint][pruned.place])

    def _difference(self, passed: Passed, entries: tuple[Array, ...], norms: Array) -> Array:
        stacks = (passed.x, passed.z, passed.h, norms)
        if passed.has_run:
            batch.difference_all(self._shape, self.weights, entries, self._activation, *stacks)
        else:
            batch.pair_all(self._shape, self.weights, self._bias, entries, self._activation, *stacks)
            batch.output_norms_all(self._layout.rows, passed.z, passed.norms)
            passed.has_run = True
        return norms

    def gaps(self, moved: Moved) -> Array:
        """Return ||f(x) - F(x)||."""
        return moved.norms

    def gap_and_gradient(self, x: Array, pruned: CpuPruned) -> tuple[Array, Array]:
        """Return gap and gradient at x in one pass."""
        norms, gradient = np.empty((self.n_trials, x.shape[2]), self._dtype), np.empty_like(x)
        args = (self._shape, self.weights, self._turned, self._bias, pruned.entries, pruned.turned, self._activation)
        HELPER.wait("gap_and_gradient")
        batch.gap_and_gradient_all(*args, x, norms, gradient)
        return norms, gradient

    def step(self, x: Array, gradient: Array, length: Array) -> Array:
        """Return the projected step."""
        out = np.empty_like(x)
        HELPER.wait("step")
        batch.move_all(x, gradient, length, out)
        return out

    def evaluate(self, x: Array, pruned: CpuPruned) -> tuple[Array, Array]:
        """Return gap and rounding error bound in float64."""
        gap, noise = np.empty(self.n_trials), np.empty(self.n_trials)
        activation = self.network.activation
        args = (self._shape, self._turned, self._bias, pruned.entries, self._activation)
        constants = (activation.lipschitz, activation.curvature, abs(activation.value_at_zero))
        evaluation.evaluate(*args, constants, np.ascontiguousarray(x), gap, noise)
        return gap, noise

    def layer_norms(self, pruned: CpuPruned) -> LayerNorms:
        """Return certified spectral norms; those of the targets are computed once for all points."""
        if self._target_norms is None:
            self._target_norms = self._norms(pruned, certificates.TARGET)
        kept, delta = self._norms(pruned, certificates.KEPT), self._norms(pruned, certificates.DELTA)
        return LayerNorms(target=self._target_norms, pruned=kept, delta=delta)

    def _norms(self, pruned: CpuPruned, kind: int) -> npt.NDArray[np.float64]:
        norms = np.empty((self.n_trials, self.network.depth))
        HELPER.wait("layer_norms")
        certificates.layer_norms(self._shape, self.weights, pruned.entries, kind, norms)
        return norms

    def linear_gap(self, pruned: CpuPruned) -> npt.NDArray[np.float64]:
        """Return the certified gap of a linear network."""
        gaps = np.empty(self.n_trials)
        evaluation.linear_gaps(self._layout.widths, self._layout.at, self.weights, pruned.entries, gaps)
        return gaps

    def semidefinite_gap(
        self, pruned: CpuPruned, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> npt.NDArray[np.float64]:
        """Return certified gaps of the semidefinite relaxation."""
        gaps = np.full(self.n_trials, np.inf)
        stacked = np.stack([norms.target, norms.pruned, norms.delta])
        args = (self._shape, self.weights, self._bias, pruned.entries, stacked, wanted)
        semidefinite.semidefinite_gaps(*args, slope_bound(self.network), steps, gaps)
        return gaps

    def exact_gap(
        self, pruned: CpuPruned, floors: npt.NDArray[np.float64], *, tolerance: float, cells: int
    ) -> tuple[npt.NDArray[np.float64], Array]:
        """Return certified gaps of the branch and bound, and the best inputs."""
        uppers, witnesses = np.empty(self.n_trials), np.zeros((self.n_trials, self.network.widths[0]))
        s = self.network.activation
        constants = (s.lipschitz, s.curvature, s.third_bound, abs(s.value_at_zero))
        args = (self._shape, self.weights, self._bias, pruned.entries, self._activation, constants)
        exact.exact_gaps(*args, (tolerance, cells), floors, uppers, witnesses)
        return uppers, witnesses

    def bias_norms(self) -> tuple[float, ...]:
        """Return upper bounds of the bias norms."""
        if not self._bias.size:
            return (0.0,) * self.network.depth
        return bias_norm_bounds(np.split(self._bias, self._layout.rows[1:-1]), [1] * self.network.depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuBackend(AbstractBackend):
    """Compiled kernels; ``threads`` micro-batches at a time within this process."""

    name: ClassVar[str] = "cpu"

    def open(self, point: Point, trials: Trials, trained: TrainedNetwork | None) -> CpuOps | ConvOps:
        """Sample the targets of a micro-batch."""
        keep_freed_memory()
        if point.network.chain is not None:
            return ConvOps(point, trials, trained)
        HELPER.start(point)
        return CpuOps(point, trials, trained)

    def batch_size(self, point: Point) -> int:
        """Return how many trials' weights, transposes and panels of columns fill the cache."""
        if point.network.chain is not None:
            return conv_batch_size(point.network, point.precision)
        network, itemsize = point.network, np.dtype(point.precision).itemsize
        columns = max((estimator.columns for estimator in point.estimators), default=1)
        size = itemsize * (2 * sum(network.n_weights) + PANELS * columns * sum(network.widths[1:]))
        return max(1, min(MAX_BATCH, CACHE_BYTES // size))

    def rebuild(self, point: Point, trial: int, trained: TrainedNetwork | None) -> Trial:
        """Return weights and masks of one trial."""
        if point.network.chain is not None:
            return rebuild_conv(point, trial, trained)
        ops = CpuOps(point, np.array([trial], dtype=np.int64), trained)
        pruned = ops.prune([point.rule])[0]
        weights, masks, first = [], [], 0
        layout = Layout.of(point.network)
        for layer, (d_out, d_in) in enumerate(point.network.shapes):
            flat = ops.weights[0, layout.at[layer] : layout.at[layer + 1]]
            weights.append(flat.reshape(d_out, d_in).copy())
            starts = pruned.starts[0, first : first + d_out + 1]
            first += d_out + 1
            spot = int(pruned.room[layer])
            mask = np.ones((d_out, d_in), dtype=np.bool_)
            rows = np.repeat(np.arange(d_out), np.diff(starts))
            mask[rows, pruned.columns[0, spot : spot + int(starts[-1])]] = False
            masks.append(mask)
        biases = (
            trained.biases if trained is not None else tuple(np.zeros(d, point.precision) for d in point.network.widths[1:])
        )
        return Trial(
            target=tuple(weights),
            pruned=tuple(np.where(m, w, w.dtype.type(0)) for w, m in zip(weights, masks, strict=True)),
            masks=tuple(masks),
            biases=tuple(b.astype(point.precision) for b in biases),
        )
