"""The typical gap: root mean square of ||F(x) - f(x)|| over weights, masks and unit inputs x. Not a bound, not a sup.

To first order in Delta, with v_l = d_l E W_ij^2, w_l = d_l E Delta_ij^2 and c the mean square gain of the activation for a
symmetric pre-activation (1 for the identity, 1/2 for ReLU, (1 + slope^2) / 2 for leaky ReLU):
rms^2 = c^(L-1) sum over l of w_l prod_{j != l} v_j. All widths d: sqrt(L w (c v)^(L-1)), v = K^2 / 3 for uniform weights.
Derived here; within a few percent where the pruned share is small, too high by 3 to 40 % at alpha = 0.1.
"""

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from simprune.model.activations import AbstractActivation, Identity, LeakyReLU, ReLU
from simprune.model.distributions import AbstractDistribution
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.order_statistics import beta_quantile, magnitudes

SCORES, NODES = 137, 24


def typical_gap(network: NetworkSpec, rule: AbstractPruningRule) -> float | None:
    """Return the first-order rms gap at unit x, None for trained targets and activations without a formula.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(256,) * 3, activation=activations.ReLU(), target=target)
    >>> round(typical_gap(net, pruning.RandomPruning(alpha=0.5)), 5)
    0.02083
    """
    law, gain = network.distribution, _gain(network.activation)
    if law is None or gain is None or network.chain is not None:
        return None
    rule.check_depth(network.depth)
    total, others = 0.0, 1.0
    for layer, (d_out, d_in) in enumerate(network.shapes):
        full = d_out * (law.scale(d_out, d_in) * law.std) ** 2
        moved = full * _pruned_energy(law, rule, d_out * d_in, rule.n_pruned_of((d_out, d_in), layer))
        total, others = total * full + moved * others, others * full
    return math.sqrt(gain ** (network.depth - 1) * total)


def _gain(activation: AbstractActivation) -> float | None:
    if isinstance(activation, Identity):
        return 1.0
    if isinstance(activation, ReLU | LeakyReLU):
        return (1.0 + activation.parameter**2) / 2.0
    return None


def _pruned_energy(law: AbstractDistribution, rule: AbstractPruningRule, n_weights: int, k: int) -> float:
    """Return E Delta_ij^2 / E W_ij^2, the mean share of the squared weights that goes."""
    if rule.is_random or rule.whole_rows or not law.is_continuous or k in (0, n_weights):
        return k / n_weights
    return k / n_weights * _square_below(type(law), n_weights, k) / law.std**2


@lru_cache(maxsize=1024)
def _square_below(law: type[AbstractDistribution], n_weights: int, k: int) -> float:
    """Return E[W^2 | |W| < T] at scale 1: (1 / B) int_0^B Q(u)^2 du averaged over the Beta law of B = H(T)."""
    z = np.linspace(-8.5, 8.5, SCORES)
    weights = np.exp(-0.5 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
    shares, _ = beta_quantile(ndtr(z), ndtr(-z), a=k + 1.0, b=float(n_weights - k))
    nodes, node_weights = np.polynomial.legendre.leggauss(NODES)
    u = shares[:, None] * 0.5 * (nodes + 1.0)
    return float(weights @ (magnitudes(law, u, 1.0 - u) ** 2 @ (0.5 * node_weights)))
