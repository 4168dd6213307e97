"""How much the product of layer norms loses by itself: measured on linear networks, whose gap is a singular value."""

import dataclasses
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from simprune.model.activations import Identity
from simprune.model.distributions import AbstractDistribution
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.bounds import network_bound
from simprune.theory.order_statistics import magnitudes

DRAWS = 3
SEED = 20210
MAX_LAYER = 1 << 16
Doubles = npt.NDArray[np.float64]


def product_looseness(network: NetworkSpec, rule: AbstractPruningRule) -> float | None:
    """Return the telescoped product over the exact gap of the linear network with the same weights, mean of 3 draws.

    The Lipschitz constants of the activation multiply both alike where s(0) = 0. None for trained targets, layers of
    more than 2^16 weights, or if nothing is pruned. Deterministic: the draws have a seed of their own.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> 2.0 < product_looseness(net, pruning.MagnitudePruning(alpha=0.5)) < 3.0
    True
    """
    law = network.distribution
    if law is None or network.chain is not None or max(network.n_weights) > MAX_LAYER:
        return None
    linear = dataclasses.replace(network, activation=Identity())
    ratios = []
    for draw in range(DRAWS):
        target = _weights(law, network.widths, draw)
        rng = np.random.default_rng((SEED, 1, draw))
        kept = [w * _mask(w, rule, layer, rng, tied=not law.is_continuous) for layer, w in enumerate(target)]
        exact = _norm(_product(target) - _product(kept))
        if exact == 0.0:
            return None
        moved = [w - v for w, v in zip(target, kept, strict=True)]
        norms = [tuple(_norm(w) for w in layers) for layers in (target, kept, moved)]
        ratios.append(network_bound(linear, *norms) / exact)
    return float(np.mean(ratios))


@lru_cache(maxsize=4)
def _weights(law: AbstractDistribution, widths: tuple[int, ...], draw: int) -> list[Doubles]:
    rng = np.random.default_rng((SEED, 0, draw))
    layers = []
    for d_in, d_out in pairwise(widths):
        shares = rng.random((d_out, d_in)) * (1.0 - 2.0**-52) + 2.0**-54
        signs = rng.choice([-1.0, 1.0], (d_out, d_in))
        layers.append(law.scale(d_out, d_in) * signs * magnitudes(type(law), shares, 1.0 - shares))
    return layers


def _mask(
    w: Doubles, rule: AbstractPruningRule, layer: int, rng: np.random.Generator, *, tied: bool
) -> npt.NDArray[np.bool_]:
    if rule.whole_rows:
        scores = rng.random(len(w)) if rule.is_random else np.linalg.norm(w, axis=1)
        rows = np.argsort(scores, kind="stable")[: rule.n_pruned(len(w), layer)]
        return np.repeat(~np.isin(np.arange(len(w)), rows)[:, None], w.shape[1], axis=1)
    k = rule.n_pruned(w.size, layer)
    if not rule.exact_count:
        return rng.random(w.shape) >= k / w.size
    scores = rng.random(w.size) if rule.is_random else np.zeros(w.size) if tied else np.abs(w).ravel()
    mask = np.ones(w.size, dtype=bool)
    mask[np.argsort(scores, kind="stable")[:k]] = False
    return mask.reshape(w.shape)


def _product(layers: list[Doubles]) -> Doubles:
    total = layers[0]
    for w in layers[1:]:
        total = w @ total
    return total


def _norm(matrix: Doubles) -> float:
    return float(np.linalg.norm(matrix, 2))
