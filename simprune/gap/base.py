"""What an estimator needs of a backend, and what it returns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from simprune.model.network import NetworkSpec
from simprune.model.registry import Registered
from simprune.rng import Purpose

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerNorms:
    """Certified upper bounds of spectral norms, each ``[n_trials, depth]``."""

    target: Doubles
    pruned: Doubles
    delta: Doubles


class Ops(Protocol):
    """A batch of sampled targets held by a backend, with the operations that estimators are made of.

    ``x`` is ``[n_trials, d_0, n_columns]`` in the point's precision. ``passed``, ``pruned`` and ``moved`` are the
    backend's own objects: a forward pass of the targets, the pruned entries, and the pruned networks' deviation. Inputs
    and gradients may lie on a device: estimators pass them on; gaps and norms are NumPy arrays.
    """

    @property
    def network(self) -> NetworkSpec:
        """The network of the batch."""

    @property
    def n_trials(self) -> int:
        """Number of trials of the batch."""

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Array:
        """Return ``count`` independent uniform points of the unit sphere for every trial; ``origin``: the first is 0."""

    def forward(self, x: Array) -> Any:
        """Run the targets."""

    def output_norms(self, passed: Any) -> Array:
        """Return ||F(x)||, ``[n_trials, n_columns]``."""

    def output_gradient(self, passed: Any) -> Array:
        """Return a gradient of ||F(x)|| up to positive factors, shaped as ``x``."""

    def difference(self, passed: Any, pruned: Any) -> Any:
        """Propagate f(x) - F(x) without cancellation."""

    def gaps(self, moved: Any) -> Array:
        """Return ||f(x) - F(x)||, ``[n_trials, n_columns]``."""

    def gap_and_gradient(self, x: Array, pruned: Any) -> tuple[Array, Array]:
        """Return ||f(x) - F(x)|| and a gradient of it up to positive factors, shaped as ``x``: an ascent's inner loop."""

    def step(self, x: Array, gradient: Array, length: Array) -> Array:
        """Return the projection on the unit ball of x + length * gradient / ||gradient||; inf length: g / ||g||."""

    def choose(self, wanted: npt.NDArray[np.bool_], yes: Array, no: Array) -> Array:
        """Return inputs: the columns of ``yes`` where ``wanted`` (``[n_trials, n_columns]``), of ``no`` elsewhere."""

    def take(self, x: Array, columns: npt.NDArray[np.int64]) -> Array:
        """Return one column of x a trial, ``[n_trials, d_0]``, in the host's memory."""

    def evaluate(self, x: Array, pruned: Any) -> tuple[Doubles, Doubles]:
        """Return the gap at one input a trial (``x`` is ``[n_trials, d_0]``) in float64, and its rounding error bound."""

    def layer_norms(self, pruned: Any) -> LayerNorms:
        """Return certified upper bounds of ||W*||, ||W|| and ||Delta|| for every layer."""

    def linear_gap(self, pruned: Any) -> Doubles:
        """Return certified upper bounds of the largest singular value of f - F, for linear networks without biases."""

    def semidefinite_gap(self, pruned: Any, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int) -> Doubles:
        """Return certified gaps of the semidefinite relaxation (``gap.semidefinite``), inf where none is proved."""

    def exact_gap(self, pruned: Any, floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        """Return certified gaps of the branch and bound (``gap.exact``) and the best inputs tried, ``[n_trials, d_0]``.

        ``floors`` are attained values; inf where too many directions of the input matter.
        """

    def bias_norms(self) -> tuple[float, ...]:
        """Return upper bounds of ||b_l||, one a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowerEstimate:
    """Attained values: ``gap`` was reached at ``witness`` up to ``noise`` (rounding error bound), all in float64."""

    gap: Doubles
    noise: Doubles
    output_norm: Doubles
    witness: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperEstimate:
    """Certified values; rows that were not asked for hold inf (gap) and NaN (norms)."""

    gap: Doubles
    norms: LayerNorms


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """Both sides from one estimator."""

    lower: LowerEstimate
    upper: UpperEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstractGapEstimator(Registered, ABC):
    """One way to bound the gap of every trial of a batch, from one side or from both."""

    side: ClassVar[Literal["lower", "upper", "both"]]

    def check(self, network: NetworkSpec) -> None:
        """Raise InputError for a network that this estimator cannot treat."""

    @property
    def columns(self) -> int:
        """Number of inputs that every trial is run on at a time."""
        return 0

    def prepare(self, ops: Ops) -> Any:
        """Compute what all points on the same targets share."""
        return None

    @abstractmethod
    def estimate(self, ops: Ops, pruned: Any, trials: npt.NDArray[np.int64], shared: Any) -> Any:
        """Return a LowerEstimate, an UpperEstimate or a Bracket for the trials with these indices."""
