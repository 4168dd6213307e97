"""Lower estimate by projected gradient ascent on the unit ball from many random starts."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from simprune.gap.base import AbstractGapEstimator, Array, LowerEstimate, Ops
from simprune.model.errors import InputError
from simprune.rng import Purpose

GROW = 1.5
SHRINK = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Ascent(AbstractGapEstimator):
    """Best value of ``restarts`` ascents of ``steps`` steps, evaluated in float64 at the best input seen.

    The first third of the steps are power iterations x <- g / ||g|| (fast, not monotone); the rest move from the best
    input so far by an adaptive length and are taken only if the gap grows. ``keep_witness`` stores the input.
    """

    name: ClassVar[str] = "ascent"
    side: ClassVar[Literal["lower", "upper", "both"]] = "lower"
    restarts: int = 16
    steps: int = 30
    keep_witness: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.restarts <= 4096:
            raise InputError(f"restarts must lie in 1..4096, got {self.restarts}; 16 is the default")
        if not 0 <= self.steps <= 100_000:
            raise InputError(f"steps must lie in 0..100000, got {self.steps}; 30 is the default")

    @property
    def columns(self) -> int:
        return self.restarts

    def prepare(self, ops: Ops) -> Any:
        """Draw the starts, run the targets on them, and ascend ||F(x)|| for the output norm."""
        lifted = bool(ops.network.activation.value_at_zero or any(ops.bias_norms()))
        starts = ops.random_inputs(Purpose.START, self.restarts, origin=self.restarts > 1 and lifted)
        return starts, self._output_norm(ops, starts)

    def estimate(self, ops: Ops, pruned: Any, trials: npt.NDArray[np.int64], shared: Any) -> LowerEstimate:
        """Return the attained gap of every trial with its witness."""
        x, output_norm = shared
        best, gradient = ops.gap_and_gradient(x, pruned)
        best_x = x
        plain = self.steps // 3
        unlimited = np.full(best.shape, np.inf, dtype=best.dtype)
        for _ in range(plain):
            x = ops.step(x, gradient, unlimited)
            value, gradient = ops.gap_and_gradient(x, pruned)
            best, best_x = _keep_best(ops, value, x, best=best, best_x=best_x)
        if plain:
            gradient = ops.gap_and_gradient(best_x, pruned)[1]
        length = np.ones(best.shape, dtype=best.dtype)
        for _ in range(plain, self.steps):
            x = ops.step(best_x, gradient, length)
            value, new_gradient = ops.gap_and_gradient(x, pruned)
            grew = value > best
            length = np.where(grew, GROW, SHRINK).astype(best.dtype) * length
            gradient = ops.choose(grew, new_gradient, gradient)
            best, best_x = _keep_best(ops, value, x, best=best, best_x=best_x)
        winner = best.argmax(axis=1)
        witness = ops.take(best_x, winner)
        gap, noise = ops.evaluate(witness, pruned)
        return LowerEstimate(gap=gap, noise=noise, output_norm=output_norm, witness=witness)

    def _output_norm(self, ops: Ops, x: Array) -> npt.NDArray[np.float64]:
        passed = ops.forward(x)
        best = ops.output_norms(passed)
        unlimited = np.full(best.shape, np.inf, dtype=best.dtype)
        for _ in range(self.steps // 2):
            x = ops.step(x, ops.output_gradient(passed), unlimited)
            passed = ops.forward(x)
            best = np.maximum(best, ops.output_norms(passed))
        return np.asarray(best.max(axis=1), dtype=np.float64)


def _keep_best(ops: Ops, value: Array, x: Array, *, best: Array, best_x: Array) -> tuple[Array, Array]:
    grew = value > best
    return np.where(grew, value, best), ops.choose(grew, x, best_x)
