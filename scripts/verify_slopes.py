"""Least-squares slopes over the logarithm of the width, and the exponents that finite widths may be fitted to.

At finite widths ||Delta|| of an n x m layer with k pruned weights lies between the norm of a dense matrix of the same
energy, t sqrt(q) (sqrt n + sqrt m), with or without the d^(-2/3) of a dense matrix's edge, and the closed form, which
adds (2 + sqrt 2) t sqrt(log d); q = k / D, t = (k + 1) / (D + 1) for magnitude pruning and 1 otherwise. The gap is, to
first order, the sum over layers of ||Delta_l|| times the other layers' norms, or some of its terms; of a matrix that meets
a given vector, in place of its own singular one, sqrt n stays of sqrt n + sqrt m. On top, a factor 1 + c / d, |c| <= 1, is
allowed.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule

ASCENT_SHARE = 0.85
"""The ascent's bar: its share of the best known value (scripts/bench, section sup)."""
CLOSED_FORM_TAIL = 2.0 + math.sqrt(2.0)
EDGE_MEAN = -1.2065335745820
Interval = tuple[float, float]
Model = Callable[[NetworkSpec, float, bool], float]


def coefficients(widths: Sequence[int]) -> np.ndarray:
    x = np.log(np.asarray(widths, dtype=np.float64))
    centred = x - x.mean()
    return centred / (centred @ centred)


def slope(widths: Sequence[int], logs: Sequence[float]) -> float:
    return float(coefficients(widths) @ np.asarray(logs))


def slope_error(widths: Sequence[int], errors: Sequence[float]) -> float:
    return float(np.sqrt(np.sum((coefficients(widths) * np.asarray(errors)) ** 2)))


def edge(n: int, m: int) -> float:
    """Return the mean norm of an n x m Gaussian matrix over sqrt(n) + sqrt(m) (Johnstone 2001): 1 - O(d^(-2/3))."""
    root = math.sqrt(n - 1.0) + math.sqrt(m)
    spread = root * (1.0 / math.sqrt(n - 1.0) + 1.0 / math.sqrt(m)) ** (1.0 / 3.0)
    return math.sqrt(root * root + EDGE_MEAN * spread) / (math.sqrt(n) + math.sqrt(m))


def dense(shape: tuple[int, int], *, edged: bool) -> float:
    """Return ||W|| of entries of variance 1 / max(n, m), without fluctuations."""
    n, m = shape
    return (math.sqrt(n) + math.sqrt(m)) / math.sqrt(max(n, m)) * (edge(n, m) if edged else 1.0)


def moved(shape: tuple[int, int], k: int, tail: float, *, by_weight: bool, edged: bool) -> float:
    """Return ||Delta|| with ``tail`` times its logarithmic term."""
    n, m = shape
    threshold = (k + 1) / (n * m + 1) if by_weight else 1.0
    return threshold * (
        math.sqrt(k / (n * m)) * dense(shape, edged=edged) + tail * math.sqrt(math.log(max(n, m)) / max(n, m))
    )


def norm_range(rule: AbstractPruningRule, networks: Sequence[NetworkSpec], *, layer: int) -> Interval:
    """Return the exponents that ||Delta|| of a layer may have over the widths of these networks."""

    def model(network: NetworkSpec, tail: float, edged: bool) -> float:
        shape = network.shapes[layer]
        return moved(shape, rule.n_pruned(math.prod(shape), layer), tail, by_weight=not rule.is_random, edged=edged)

    return _range(networks, [model])


def gap_range(
    rule: AbstractPruningRule, networks: Sequence[NetworkSpec], *, terms: Sequence[Sequence[int]], lost: float
) -> Interval:
    """Return the exponents that an attained gap may have: sums over ``terms`` (layers) of the first-order formula.

    ``lost``: exponent that the product of norms does not see. The ascent's share may change by ASCENT_SHARE in all.
    """

    def sum_over(layers: Sequence[int], plain: bool) -> Model:
        def model(network: NetworkSpec, tail: float, edged: bool) -> float:
            norms = [1.0 if plain else dense(shape, edged=edged) for shape in network.shapes]
            counts = [rule.n_pruned(n, layer) for layer, n in enumerate(network.n_weights)]
            return sum(
                moved(network.shapes[i], counts[i], tail, by_weight=not rule.is_random, edged=edged)
                * math.prod(norms[:i] + norms[i + 1 :])
                for i in layers
            )

        return model

    low, high = _range(networks, [sum_over(layers, plain) for layers in terms for plain in (False, True)])
    missed = -math.log(ASCENT_SHARE) * float(np.clip(coefficients(_widths(networks)), 0.0, None).sum())
    return low + lost - missed, high + lost + missed


def _range(networks: Sequence[NetworkSpec], models: Sequence[Model]) -> Interval:
    widths = _widths(networks)
    exponents = [
        -slope(widths, [math.log(model(network, tail, edged)) for network in networks])
        for model in models
        for tail in np.linspace(0.0, CLOSED_FORM_TAIL, 20).tolist()
        for edged in (False, True)
    ]
    small = abs(slope(widths, [math.log1p(1.0 / d) for d in widths]))
    return min(exponents) - small, max(exponents) + small


def _widths(networks: Sequence[NetworkSpec]) -> list[int]:
    """The growing width: that of the first hidden layer."""
    return [network.widths[1] for network in networks]
