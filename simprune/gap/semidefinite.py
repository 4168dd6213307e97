"""Upper certificate from a semidefinite relaxation of target and pruned network together, one multiplier a neuron."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from simprune.gap.base import AbstractGapEstimator, Ops, UpperEstimate
from simprune.gap.spectral import Spectral
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Semidefinite(AbstractGapEstimator):
    """The smaller of the spectral bound and sqrt((1 + c^2) rho^2), proved by one Cholesky factorisation.

    With hidden vectors h_l of the target and deviations e_l of the pruned network, nondecreasing activations of slope
    at most k with s(0) = 0 obey h (k z - h) >= 0 and e (k dz - e) >= 0 in every neuron. For any weights T >= 0 of these
    inequalities, ||f - F||^2 + sum T y (k z - y) <= rho^2 ||x||^2 for all y and x (a matrix inequality) proves
    gap <= rho; the method of Fazlyab et al. ("Efficient and accurate estimation of Lipschitz constants", NeurIPS 2019),
    applied to the difference of two networks. Biases act on a further input of fixed size c. Good weights are searched
    for in 2 L steps with one weight a layer and ``steps`` steps with one a neuron; the proof holds for any.

    Falls back on the spectral bound for networks with convolutions or pooling, for linear networks without biases (where
    that is exact), for depth 1, for activations that do not vanish at 0 and for such that are not monotone. ``first``
    certifies only trials 0 .. first - 1 of every point. Cost: README, "Speed".
    """

    name: ClassVar[str] = "semidefinite"
    side: ClassVar[Literal["lower", "upper", "both"]] = "upper"
    steps: int = 16
    first: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.steps <= 10_000:
            raise InputError(f"steps must lie in 0..10000, got {self.steps}; 16 is the default")
        Spectral(first=self.first)

    def estimate(self, ops: Ops, pruned: Any, trials: npt.NDArray[np.int64], shared: Any) -> UpperEstimate:
        """Return the certified gap of every trial that was asked for."""
        spectral = Spectral(first=self.first).estimate(ops, pruned, trials, shared)
        wanted = np.isfinite(spectral.gap)
        if not (wanted.any() and sharpens(ops.network, ops.bias_norms())):
            return spectral
        gap = ops.semidefinite_gap(pruned, spectral.norms, wanted, steps=self.steps)
        return UpperEstimate(gap=np.minimum(spectral.gap, gap), norms=spectral.norms)


def sharpens(network: NetworkSpec, bias_norms: tuple[float, ...]) -> bool:
    """Return whether the relaxation applies to a network and can be better than its spectral bound."""
    if network.chain is not None:
        return False
    activation = network.activation
    exact = network.depth == 1 or (network.is_linear and not any(bias_norms))
    return not exact and activation.nondecreasing and activation.value_at_zero == 0.0


def search_rounds(depth: int, steps: int) -> int:
    """Return how often the search factors the matrix: 2 L rounds with one weight a layer, ``steps``, and one more."""
    return 2 * depth + steps + 1


def elimination_flops(widths: Sequence[int]) -> float:
    """Return the operations of one elimination of the certificate's chain: 2 d rows a hidden layer, all symmetric."""
    sizes = [widths[0], *(2 * d for d in widths[1:-1])]
    inner = sum(n**3 / 3 + n * n * m + n * m * m for m, n in pairwise(sizes))
    return float(inner + widths[-1] * sizes[-1] ** 2)


def slope_bound(network: NetworkSpec) -> float:
    """Return the smallest power of two that is not below the Lipschitz constant of the activation.

    Scaling by a power of two is exact, which keeps the entries of the certificate's matrix free of rounding errors.
    """
    mantissa, exponent = math.frexp(network.activation.lipschitz)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)
