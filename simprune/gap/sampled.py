"""Lower estimate from random inputs: cheap, and far below the supremum in high dimension."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from simprune.gap.base import AbstractGapEstimator, LowerEstimate, Ops
from simprune.model.errors import InputError
from simprune.rng import Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(AbstractGapEstimator):
    """Largest gap over ``samples`` uniform points of the unit sphere (the origin among them if F(0) may be non-zero)."""

    name: ClassVar[str] = "sampled"
    side: ClassVar[Literal["lower", "upper", "both"]] = "lower"
    samples: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= 1 << 20:
            raise InputError(f"samples must lie in 1..2^20, got {self.samples}; 64 is the default")

    @property
    def columns(self) -> int:
        return self.samples

    def prepare(self, ops: Ops) -> Any:
        """Run the targets on the samples once for all points."""
        x = ops.random_inputs(Purpose.SAMPLE, self.samples, origin=self.samples > 1 and not _vanishes_at_zero(ops))
        return x, ops.forward(x)

    def estimate(self, ops: Ops, pruned: Any, trials: npt.NDArray[np.int64], shared: Any) -> LowerEstimate:
        """Return the best sample of every trial, evaluated in float64."""
        x, passed = shared
        best = ops.gaps(ops.difference(passed, pruned)).argmax(axis=1)
        output_norm = ops.output_norms(passed).max(axis=1).astype(np.float64)
        witness = ops.take(x, best)
        gap, noise = ops.evaluate(witness, pruned)
        return LowerEstimate(gap=gap, noise=noise, output_norm=output_norm, witness=witness)


def _vanishes_at_zero(ops: Ops) -> bool:
    return ops.network.activation.value_at_zero == 0.0 and not any(ops.bias_norms())
