"""A-priori bounds of the gap of a random network, with every event that may fail itemised.

Option 1: ||W*_l|| <= A_l and ||Delta_l|| <= E_l (2L events), ||W_l|| <= A_l + E_l. Option 2: ||W*_l|| and ||W_l|| <= A_l
where needed, ||Delta_l|| <= E_l (3L - 2 events). Each event gets an equal share of delta; no independence of layers is
used. Which option is smaller is known beforehand, so the minimum holds with probability 1 - delta as well.
"""

import math
from dataclasses import dataclass

import numpy as np

from simprune.gap.base import LayerNorms
from simprune.gap.spectral import telescoped_gap
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule, n_pruned_for_alpha
from simprune.theory.layers import delta_norm, target_norm


@dataclass(frozen=True, slots=True, kw_only=True)
class AprioriBound:
    """``gap`` holds with probability 1 - delta; layer bounds by layer; ``option`` and its number of events."""

    gap: float
    output_norm: float
    delta: float
    option: int
    n_events: int
    n_pruned: tuple[int, ...]
    target_norms: tuple[float, ...]
    pruned_norms: tuple[float, ...]
    delta_norms: tuple[float, ...]

    @property
    def event_delta(self) -> float:
        """Failure probability granted to each event."""
        return self.delta / self.n_events

    @property
    def is_vacuous(self) -> bool:
        """Whether the bound says no more than ||f|| + ||F||, which the same norms bound, does."""
        return self.gap >= 2.0 * self.output_norm


def apriori_bound(network: NetworkSpec, rule: AbstractPruningRule, *, delta: float) -> AprioriBound:
    """Return the smaller of both options for a sampled target without biases."""
    law = network.distribution
    if law is None:
        raise InputError("an a-priori bound needs random weights, got a trained network; use the certificates of a run")
    if not 0.0 < delta < 1.0:
        raise InputError(f"delta must lie in (0, 1), got {delta}; it is the probability that the bound may fail")
    rule.check_depth(network.depth)
    depth = network.depth
    found = []
    for option, n_events in ((1, 2 * depth), (2, max(3 * depth - 2, 1))):
        share = delta / n_events
        targets = tuple(target_norm(shape, law, delta=share) for shape in network.shapes)
        layers = enumerate(network.shapes)
        deltas = tuple(delta_norm(shape, law, rule, layer=layer, delta=share) for layer, shape in layers)
        kept = tuple(a + e for a, e in zip(targets, deltas, strict=True)) if option == 1 else targets
        found.append(
            AprioriBound(
                gap=network_bound(network, targets, kept, deltas),
                output_norm=network_bound(network, targets, kept, targets[-1:], whole=True),
                delta=delta,
                option=option,
                n_events=n_events,
                n_pruned=tuple(rule.n_pruned(n, layer) for layer, n in enumerate(network.n_weights)),
                target_norms=targets,
                pruned_norms=kept,
                delta_norms=deltas,
            )
        )
    return min(found, key=lambda bound: bound.gap)


def network_bound(
    network: NetworkSpec,
    targets: tuple[float, ...],
    kept: tuple[float, ...],
    deltas: tuple[float, ...],
    *,
    whole: bool = False,
) -> float:
    """Return e_L of the hybrid recursion for layer norms; ``whole``: the bound of sup ||F|| (f = 0 in the last layer)."""
    if whole:
        zeros = (0.0,) * (network.depth - 1)
        kept, deltas = (*targets[:-1], 0.0), (*zeros, targets[-1])
    norms = LayerNorms(target=_row(targets), pruned=_row(kept), delta=_row(deltas))
    return float(telescoped_gap(network, norms, (0.0,) * network.depth)[0])


def closed_form(d: int, alpha: float, depth: int, *, K: float = 1.0, lipschitz: float = 1.0, delta: float = 0.05) -> float:
    """Elementary bound for magnitude pruning of uniform weights, all widths d, s(0) = 0: L Ks^(L-1) A^(L-1) E.

    A = K sqrt(pi/8) (2 + sqrt(2 l / d)), E = K sqrt(e/3) q (1 + x) (2 sqrt q + (2 + sqrt 2) sqrt(p / d)) with l =
    log(4 L / delta), q = k / d^2, x = (l + sqrt(l^2 + 2 k l)) / k, p = ceil(log d + l). Falls in d for large d.
    """
    k, log = n_pruned_for_alpha(d * d, alpha), math.log(4.0 * depth / delta)
    q, spread = k / (d * d), (log + math.sqrt(log * log + 2.0 * k * log)) / k
    order = math.ceil(math.log(d) + log)
    dense = K * math.sqrt(math.pi / 8.0) * (2.0 + math.sqrt(2.0 * log / d))
    tail = 2.0 * math.sqrt(q) + (2.0 + math.sqrt(2.0)) * math.sqrt(order / d)
    sparse = K * math.sqrt(math.e / 3.0) * q * (1.0 + spread) * tail
    return depth * lipschitz ** (depth - 1) * dense ** (depth - 1) * sparse


def _row(values: tuple[float, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([values], dtype=np.float64)
