"""How many weights may go: certified counts for a wanted gap, layer by layer and shared out over the layers.

With ||W*_l||, ||W_l|| <= A_l and ||Delta_l|| <= E_l(k_l) (option 2 of ``theory.bounds``, 3 L - 2 equal events) the gap
is at most sum over l of c_l E_l(k_l), c_l = prod_{j > l} K_j A_j times a bound of the hidden vector before layer l. So the
largest total count is a knapsack with L separable, increasing costs. Method: every cost is cut into UNITS equal parts of
epsilon, E_l is evaluated on a geometric grid of counts, and dynamic programming finds the best shares. It is exact up to
the two grids for convex costs (magnitude, about k^(3/2)) and concave ones (random, about k^(1/2)) alike, where a greedy
or Lagrangian choice would fail; leftovers are then spent layer by layer, the largest first. The counts returned are
certified whatever the grids. Derived here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.bounds import bound_of_counts, network_bound, random_law
from simprune.theory.convolutions import layer_pruned_norm, layer_target_norm
from simprune.theory.norms import check_delta

UNITS = 512
COUNTS = 160
Doubles = npt.NDArray[np.float64]
Counts = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Certified counts: P(gap > epsilon) <= delta for each of them (one at a time).

    ``alone``: most weights of each layer while the others stay whole. ``best``: counts of the largest total found;
    ``equal_fraction``: the largest common pruned fraction; ``equal_share``: epsilon / L for every layer.
    """

    epsilon: float
    delta: float
    alone: Counts
    best: Counts
    equal_fraction: Counts
    equal_share: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """Counts in ascending order with the gap that each one is certified to cost."""

    counts: Counts
    costs: Doubles

    def most(self, epsilon: float) -> int:
        """Return the largest count on the grid whose cost is at most ``epsilon``."""
        return self.counts[int(np.searchsorted(self.costs, epsilon, side="right")) - 1]


def pruning_budget(network: NetworkSpec, rule: AbstractPruningRule, *, epsilon: float, delta: float) -> Budget:
    """Return k_max(epsilon, delta) of random weights pruned by the kind of ``rule``, whose own amount is not read.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> pruning_budget(net, pruning.MagnitudePruning(alpha=0.5), epsilon=0.0, delta=0.05).best
    (0, 0)
    """
    if not 0.0 <= epsilon < math.inf:
        raise InputError(f"epsilon must be at least 0 and finite, got {epsilon}; it is the gap that is tolerated")
    if rule.whole_rows:
        raise InputError(
            f"prunable counts are of single weights, got the rule {rule.name}; take magnitude, random or bernoulli"
        )
    check_delta(delta)
    layers = [_layer(network, rule, layer, delta=delta) for layer in range(network.depth)]
    depth, none = network.depth, (0,) * network.depth
    raised = [_raised(network, rule, none, layer, epsilon=epsilon, delta=delta) for layer in range(depth)]
    alone = tuple(counts[layer] for layer, counts in enumerate(raised))
    equal = tuple(layer.most(epsilon / depth) for layer in layers)
    fraction = _equal_fraction(network, rule, epsilon=epsilon, delta=delta)
    best = max(_allocated(layers, epsilon), equal, fraction, key=sum)
    for layer in sorted(range(depth), key=lambda i: -network.n_weights[i]):
        best = _raised(network, rule, best, layer, epsilon=epsilon, delta=delta)
    return Budget(epsilon=epsilon, delta=delta, alone=alone, best=best, equal_fraction=fraction, equal_share=equal)


def _layer(network: NetworkSpec, rule: AbstractPruningRule, layer: int, *, delta: float) -> _Layer:
    law, depth, stage = random_law(network), network.depth, network.weighted[layer]
    share = delta / (3 * depth - 2)
    targets = tuple(layer_target_norm(s, law, delta=share).value for s in network.weighted)
    only = tuple(float(i == layer) for i in range(depth))
    factor = network_bound(network, targets, targets, only)
    n_weights = network.n_weights[layer]
    counts = sorted({min(round(k), n_weights) for k in np.geomspace(1, float(n_weights), COUNTS).tolist()})
    moved = [layer_pruned_norm(stage, law, rule, n_pruned=k, delta=share).value for k in counts]
    # a smaller count never costs more: what a larger one is certified to cost holds for it as well (Jensen)
    costs = factor * np.maximum.accumulate(moved)
    return _Layer(counts=(0, *counts), costs=np.append(0.0, costs))


def _allocated(layers: Sequence[_Layer], epsilon: float) -> Counts:
    """Return the counts of the largest total over all ways to give each layer a whole number of units of epsilon."""
    unit = epsilon / UNITS
    grids = [[layer.most(u * unit * (1.0 - 1e-12)) for u in range(UNITS + 1)] for layer in layers]
    gains = [np.array(grid, dtype=np.float64) for grid in grids]
    best, choices = gains[0], []
    for gain in gains[1:]:
        rest = np.subtract.outer(np.arange(UNITS + 1), np.arange(UNITS + 1))
        table = np.where(rest >= 0, best[None, :] + gain[np.maximum(rest, 0)], -1)
        choices.append(table.argmax(axis=1))
        best = table.max(axis=1)
    units, left = [], UNITS
    for choice in reversed(choices):
        given = int(choice[left])
        units.append(left - given)
        left = given
    units.append(left)
    return tuple(grid[u] for grid, u in zip(grids, reversed(units), strict=True))


def _raised(
    network: NetworkSpec, rule: AbstractPruningRule, counts: Counts, layer: int, *, epsilon: float, delta: float
) -> Counts:
    """Return ``counts`` with the count of one layer raised as far as the bound (the better option) stays below epsilon."""
    low, high = counts[layer], network.n_weights[layer] + 1
    while high - low > 1:
        middle = (low + high) // 2
        tried = (*counts[:layer], middle, *counts[layer + 1 :])
        holds = bound_of_counts(network, rule, tried, delta=delta).gap <= epsilon
        low, high = (middle, high) if holds else (low, middle)
    return (*counts[:layer], low, *counts[layer + 1 :])


def _equal_fraction(network: NetworkSpec, rule: AbstractPruningRule, *, epsilon: float, delta: float) -> Counts:
    """Return the counts of the largest common fraction, to 2^-20, whose bound (the better option) is at most epsilon."""

    def counts(part: int) -> Counts:
        return tuple((n * part) >> 20 for n in network.n_weights)

    low, high = 0, (1 << 20) + 1
    while high - low > 1:
        middle = (low + high) // 2
        holds = bound_of_counts(network, rule, counts(middle), delta=delta).gap <= epsilon
        low, high = (middle, high) if holds else (low, middle)
    return counts(low)
