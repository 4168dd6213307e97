"""Operations of the NumPy backend for networks with convolutions: sampling and masks as for matrices, passes written out."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from simprune.backends import reference_bounds as bounds
from simprune.backends import reference_conv as conv
from simprune.backends import reference_passes as passes
from simprune.backends.base import HostColumns
from simprune.backends.reference_conv import LinearMap, Map, Walk
from simprune.backends.reference_passes import Moved, Passed
from simprune.gap.base import Array, Doubles, LayerNorms
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import Purpose

if TYPE_CHECKING:
    from simprune.backends.reference import ReferenceOps, ReferencePruned


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvReferencePruned:
    """Pruned kernels as matrices (``kernels``), and the maps that they make with the target's."""

    kernels: "ReferencePruned"
    maps: tuple[Map, ...]

    @property
    def n_pruned(self) -> npt.NDArray[np.int64]:
        """Number of pruned weights, ``[n_trials, depth]``."""
        return self.kernels.n_pruned

    @property
    def threshold(self) -> Doubles:
        """Smallest kept magnitude, ``[n_trials, depth]``."""
        return self.kernels.threshold


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvReferenceOps(HostColumns):
    """A batch of targets whose kernels ``base`` holds as matrices."""

    base: "ReferenceOps"

    @property
    def network(self) -> NetworkSpec:
        """The network of the batch."""
        return self.base.network

    @property
    def n_trials(self) -> int:
        """Number of trials of the batch."""
        return self.base.n_trials

    @cached_property
    def _targets(self) -> Walk:
        nothing = [np.zeros_like(w) for w in self.base.weights]
        maps = conv.maps_of(self.network, self.base.weights, nothing, self.base.biases)
        return Walk(activation=self.network.activation, maps=maps)

    def _pair(self, pruned: ConvReferencePruned) -> Walk:
        return Walk(activation=self.network.activation, maps=pruned.maps)

    def prune(self, rules: Sequence[AbstractPruningRule]) -> list[ConvReferencePruned]:
        return [self._pruned(kernels) for kernels in self.base.prune(rules)]

    def _pruned(self, kernels: "ReferencePruned") -> ConvReferencePruned:
        maps = conv.maps_of(self.network, self.base.weights, kernels.deltas, self.base.biases)
        return ConvReferencePruned(kernels=kernels, maps=tuple(maps))

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Array:
        return self.base.random_inputs(purpose, count, origin=origin)

    def forward(self, x: Array) -> Passed:
        return self._targets.forward(x.astype(np.float64))

    def output_norms(self, passed: Passed) -> Array:
        return passes.column_norms(passed.hidden[-1])

    def output_gradient(self, passed: Passed) -> Array:
        return self._targets.output_gradient(passed)

    def difference(self, passed: Passed, pruned: ConvReferencePruned) -> Moved:
        return self._pair(pruned).difference(passed)

    def gaps(self, moved: Moved) -> Array:
        return passes.column_norms(moved.hidden[-1])

    def gap_and_gradient(self, x: Array, pruned: ConvReferencePruned) -> tuple[Array, Array]:
        passed, walk = self.forward(x), self._pair(pruned)
        moved = walk.difference(passed)
        return self.gaps(moved), walk.gap_gradient(passed, moved)

    def step(self, x: Array, gradient: Array, length: Array) -> Array:
        return self.base.step(x, gradient, length)

    def evaluate(self, x: Array, pruned: ConvReferencePruned) -> tuple[Doubles, Doubles]:
        return self._pair(pruned).evaluate(x.astype(np.float64))

    def layer_norms(self, pruned: ConvReferencePruned) -> LayerNorms:
        return conv.norms_of(pruned.maps)

    def linear_gap(self, pruned: ConvReferencePruned) -> Doubles:
        linear = [step for step in pruned.maps if isinstance(step, LinearMap)]
        return bounds.linear_gap([step.weight for step in linear], [step.delta for step in linear])

    def semidefinite_gap(
        self, pruned: ConvReferencePruned, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> Doubles:
        return np.full(self.n_trials, np.inf)

    def exact_gap(
        self, pruned: ConvReferencePruned, floors: Doubles, *, tolerance: float, cells: int
    ) -> tuple[Doubles, Array]:
        return np.full(self.n_trials, np.inf), np.zeros((self.n_trials, self.network.widths[0]))

    def bias_norms(self) -> tuple[float, ...]:
        pairs = zip(self.base.biases, self.network.weighted, strict=True)
        return tuple(bounds.vector_norm_bound(np.repeat(bias, stage.positions)) for bias, stage in pairs)
