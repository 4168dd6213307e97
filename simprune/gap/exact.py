"""The gap itself, to a chosen accuracy, for networks that see few directions of their input: branch and bound."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from simprune.gap.ascent import Ascent
from simprune.gap.base import AbstractGapEstimator, Bracket, LowerEstimate, Ops, UpperEstimate
from simprune.gap.spectral import Spectral
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec

MOST_INPUTS = 6
MOST_CELLS = 10_000_000
# Allowances for rounding: of sums of squares on the ball's border, and of norms.
OUTSIDE = 1.0 + 1e-12
ROUNDING = 1.0 + 1e-12
START = Ascent(restarts=64, steps=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact(AbstractGapEstimator):
    """Attained and certified gap at most a factor 1 + ``tolerance`` apart, by branch and bound over the unit ball.

    The ball is cut into boxes; on each an affine enclosure of f - F bounds the gap, and the box with the largest bound is
    halved until that bound is at most 1 + tolerance times an attained value (derived in ``backends.reference_exact``).
    For networks with at most 6 inputs, or at most 3 hidden units in the first layer: a network sees its input through its
    first matrices only, so that 2 d_1 directions matter. If ``cells`` boxes are not enough the certificate is what was
    reached; it is never above the spectral one. Not for convolutional networks.
    """

    name: ClassVar[str] = "exact"
    side: ClassVar[Literal["lower", "upper", "both"]] = "both"
    tolerance: float = 0.01
    cells: int = 1_000_000

    def __post_init__(self) -> None:
        if not 1e-6 <= self.tolerance <= 1.0:
            raise InputError(f"tolerance must lie in [1e-6, 1], got {self.tolerance}; 0.01 is the default")
        if not 1 <= self.cells <= MOST_CELLS:
            raise InputError(f"cells must lie in 1..{MOST_CELLS}, got {self.cells}; 1000000 is the default")

    def check(self, network: NetworkSpec) -> None:
        """Refuse a network that sees too many directions."""
        if network.chain is not None:
            raise InputError(
                "the exact estimator needs dense layers only, got convolutions or pooling; take ascent with spectral"
            )
        inputs, hidden = network.widths[0], network.widths[1]
        if min(inputs, 2 * hidden) > MOST_INPUTS:
            raise InputError(
                f"the exact estimator needs at most {MOST_INPUTS} inputs or at most {MOST_INPUTS // 2} units in the first "
                f"hidden layer, got widths {list(network.widths)}; take ascent with spectral or semidefinite"
            )

    def prepare(self, ops: Ops) -> Any:
        """Draw the starts of the ascent."""
        return START.prepare(ops)

    def estimate(self, ops: Ops, pruned: Any, trials: npt.NDArray[np.int64], shared: Any) -> Bracket:
        """Return both sides of every trial."""
        lower = START.estimate(ops, pruned, trials, shared)
        upper = Spectral().estimate(ops, pruned, trials, None)
        floors = np.maximum(lower.gap - lower.noise, 0.0)
        certified, inputs = ops.exact_gap(pruned, floors, tolerance=self.tolerance, cells=self.cells)
        inputs = inputs.astype(lower.witness.dtype)
        gap, noise = ops.evaluate(inputs, pruned)
        better = gap - noise > lower.gap - lower.noise
        return Bracket(
            lower=LowerEstimate(
                gap=np.where(better, gap, lower.gap),
                noise=np.where(better, noise, lower.noise),
                output_norm=lower.output_norm,
                witness=np.where(better[:, None], inputs, lower.witness),
            ),
            upper=UpperEstimate(gap=np.minimum(certified, upper.gap), norms=upper.norms),
        )
