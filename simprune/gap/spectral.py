"""Upper certificate: the product of certified layer norms, telescoped through the layers."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from simprune.gap.base import AbstractGapEstimator, Doubles, LayerNorms, Ops, UpperEstimate
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec

ROUNDING = 1.0 + 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectral(AbstractGapEstimator):
    """Semi-empirical bound e_L of the trial's own matrices; exact up to 0.2 % for linear networks.

    ``first`` certifies only trials 0 .. first - 1 of every point, whatever the blocks.
    """

    name: ClassVar[str] = "spectral"
    side: ClassVar[Literal["lower", "upper", "both"]] = "upper"
    first: int | None = None

    def __post_init__(self) -> None:
        if self.first is not None and self.first < 1:
            raise InputError(f"first must be at least 1, got {self.first}; leave it out to certify every trial")

    def estimate(self, ops: Ops, pruned: Any, trials: npt.NDArray[np.int64], shared: Any) -> UpperEstimate:
        """Return the certified gap of every trial that was asked for."""
        wanted = np.ones(len(trials), dtype=bool) if self.first is None else trials < self.first
        if not wanted.any():
            nothing = np.full((len(trials), ops.network.depth), np.nan)
            norms = LayerNorms(target=nothing, pruned=nothing, delta=nothing)
            return UpperEstimate(gap=np.full(len(trials), np.inf), norms=norms)
        norms = ops.layer_norms(pruned)
        biases = ops.bias_norms()
        gap = telescoped_gap(ops.network, norms, biases)
        if ops.network.is_linear and not any(biases):
            gap = np.minimum(gap, ops.linear_gap(pruned))
        gap = np.where(wanted, gap, np.inf)
        rows = wanted[:, None]
        return UpperEstimate(
            gap=gap,
            norms=LayerNorms(
                target=np.where(rows, norms.target, np.nan),
                pruned=np.where(rows, norms.pruned, np.nan),
                delta=np.where(rows, norms.delta, np.nan),
            ),
        )


def telescoped_gap(
    network: NetworkSpec,
    norms: LayerNorms,
    bias_norms: tuple[float, ...],
    *,
    bias_moves: tuple[float, ...] | None = None,
) -> Doubles:
    """Return e_L of the hybrid recursion, ``[n_trials]``, for norms ``[n_trials, depth]``.

    With N_l and Nh_l bounds of the hidden vectors of target and pruned network on the unit ball,
    e_l = K_l min(||W*_l|| e + ||Delta_l|| Nh, ||W_l|| e + ||Delta_l|| N). A non-zero s(0) adds |s(0)| sqrt(d_l) to N,
    biases add ||b_l||, and a bounded activation caps N at B sqrt(d_l). Pooling multiplies e, N and Nh by its Lipschitz
    constant. Where biases differ as well, ``bias_moves`` bounds their differences: they add to e and to Nh.
    """
    activation = network.activation
    moves = bias_moves or (0.0,) * network.depth
    n_trials = norms.target.shape[0]
    error: Doubles = np.zeros(n_trials)
    pools = network.pool_factors
    full = kept = np.full(n_trials, pools[0])
    for layer in range(network.depth):
        target, pruned, delta = norms.target[:, layer], norms.pruned[:, layer], norms.delta[:, layer]
        error = (np.minimum(target * error + delta * kept, pruned * error + delta * full) + moves[layer]) * ROUNDING
        if layer == network.depth - 1:
            return error * pools[-1]
        root = np.sqrt(network.widths[layer + 1])
        offset = abs(activation.value_at_zero) * root
        cap = activation.bound * root * ROUNDING
        full = np.minimum((activation.lipschitz * (target * full + bias_norms[layer]) + offset) * ROUNDING, cap)
        own = bias_norms[layer] + moves[layer]
        kept = np.minimum((activation.lipschitz * (pruned * kept + own) + offset) * ROUNDING, cap)
        full, kept = full * pools[layer + 1], kept * pools[layer + 1]
        error = activation.lipschitz * error * pools[layer + 1]
    return error
