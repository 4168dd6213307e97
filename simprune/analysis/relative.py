"""The gap relative to sup ||F||: an attained ratio, and a proper bracket where the certificates allow one.

``output_norm`` is an attained lower value of sup ||F||. So gap_upper / output_norm is a proper upper value of
gap / sup ||F||, but gap_lower / output_norm bounds it from neither side: it is called the attained ratio. A proper
lower value divides gap_lower by a certified upper bound of sup ||F||.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.analysis.estimates import CONFIDENCE, Refused
from simprune.analysis.ordered import Ordered
from simprune.analysis.quantiles import QuantileEstimate, quantile
from simprune.analysis.views import View, is_certified
from simprune.model.network import NetworkSpec
from simprune.records import TrialTable
from simprune.trained.network import TrainedNetwork

Doubles = npt.NDArray[np.float64]
ROUNDING = 1.0 + 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeGap:
    """Quantiles of the attained ratio and of the proper lower and upper values of gap / sup ||F||."""

    attained: tuple[QuantileEstimate, ...]
    lower: tuple[QuantileEstimate, ...] | Refused
    upper: tuple[QuantileEstimate, ...] | Refused


def certified_output_norm(
    network: NetworkSpec, target_norms: Doubles, *, bias_norms: tuple[float, ...] | None = None
) -> Doubles:
    """Return upper bounds of sup ||F|| over the unit ball, ``[n_rows]``.

    N_l = K_l (||W*_l|| N_(l-1) + ||b_l||) + |s(0)| sqrt(d_l), capped at B sqrt(d_l) for |s| <= B; ``target_norms`` is
    ``[n_rows, depth]``. Without biases, with s(0) = 0 and no cap, this is the product of all K_l ||W*_l||.
    """
    activation, biases = network.activation, bias_norms or (0.0,) * network.depth
    pools = network.pool_factors
    norm = np.full(len(target_norms), pools[0])
    for layer in range(network.depth - 1):
        root = float(np.sqrt(network.widths[layer + 1]))
        norm = activation.lipschitz * (target_norms[:, layer] * norm + biases[layer])
        norm = np.minimum(norm + abs(activation.value_at_zero) * root, activation.bound * root) * pools[layer + 1]
    return (norm * target_norms[:, -1] + biases[-1]) * pools[-1] * ROUNDING


def relative_views(network: NetworkSpec, trained: TrainedNetwork | None) -> dict[str, View]:
    """Return the three ratios of every row; rows with F = 0 at every input seen are left out.

    ``trained`` holds the biases of a fixed target.
    """
    biases = trained.bias_norms if trained else None

    def attained(table: TrialTable) -> Doubles:
        reachable = table["output_norm"] > 0.0
        return np.asarray(table["gap_lower"][reachable] / table["output_norm"][reachable])

    def lower(table: TrialTable) -> Doubles:
        certified = _is_reachable_and_certified(table)
        bound = certified_output_norm(network, table["target_norm"][certified], bias_norms=biases)
        return np.asarray(table["gap_lower"][certified] / bound)

    def upper(table: TrialTable) -> Doubles:
        certified = _is_reachable_and_certified(table)
        return np.asarray(table["gap_upper"][certified] / table["output_norm"][certified])

    return {
        "attained ratio": View(needs=("gap_lower", "output_norm"), values=attained),
        "lower ratio": View(needs=("gap_lower", "output_norm", "target_norm", "status"), values=lower),
        "upper ratio": View(needs=("gap_upper", "output_norm", "status"), values=upper),
    }


def relative_gap(
    attained: Ordered, lower: Ordered, upper: Ordered, *, levels: tuple[float, ...], error: float = 1.0 - CONFIDENCE
) -> RelativeGap | Refused:
    """Return the quantiles of the relative gap of a point from its three ordered ratios."""
    if not len(attained):
        return Refused(reason="there is no row, or the target's output is 0 at every input that was tried")
    none = Refused(reason="no row is certified; add the spectral estimator")
    return RelativeGap(
        attained=_quantiles(attained, levels, error),
        lower=_quantiles(lower, levels, error) if len(lower) else none,
        upper=_quantiles(upper, levels, error) if len(upper) else none,
    )


def _is_reachable_and_certified(table: TrialTable) -> npt.NDArray[np.bool_]:
    return np.asarray((table["output_norm"] > 0.0) & is_certified(table))


def _quantiles(ordered: Ordered, levels: tuple[float, ...], error: float) -> tuple[QuantileEstimate, ...]:
    return tuple(quantile(ordered, level, error=error) for level in levels)
