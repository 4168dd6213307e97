"""Bounds of the gap of a network: semi-empirical from given norms, a priori with every event that may fail itemised.

Option 1: ||W*_l|| <= A_l and ||Delta_l|| <= E_l (2 L events), ||W_l|| <= A_l + E_l. Option 2: ||W*_l|| (l >= 2) and ||W_l||
(l < L) <= A_l, ||Delta_l|| <= E_l (3 L - 2 events). Each event gets an equal share of delta and no independence of layers
is used. Which option is smaller is known beforehand, so the minimum holds with probability 1 - delta as well. Derived
here, from the hybrid recursion of ``gap.spectral.telescoped_gap``.
"""

from dataclasses import dataclass

import numpy as np

from simprune.gap.base import LayerNorms
from simprune.gap.spectral import telescoped_gap
from simprune.model.distributions import AbstractDistribution
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.convolutions import layer_pruned_norm, layer_target_norm
from simprune.theory.norms import NormBound, check_delta

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One inequality that fails with probability at most ``bound.delta``; ``layer`` from 0, ``quantity`` e.g. "||W*||"."""

    layer: int
    quantity: str
    bound: NormBound


@dataclass(frozen=True, slots=True, kw_only=True)
class AprioriBound:
    """P(gap > ``gap``) <= ``delta``; the norm bounds by layer, and the ``events`` whose failures delta pays for.

    ``output_norm`` bounds sup ||F|| and ``largest_gap`` bounds sup ||F|| + sup ||f||, each with probability 1 - delta.
    """

    gap: float
    delta: float
    option: int
    events: tuple[Event, ...]
    n_pruned: tuple[int, ...]
    target_norms: Row
    pruned_norms: Row
    delta_norms: Row
    output_norm: float
    largest_gap: float

    @property
    def event_delta(self) -> float:
        """Failure probability granted to each event."""
        return self.delta / len(self.events)

    @property
    def is_vacuous(self) -> bool:
        """Whether the bound says no more than what bounds any two such networks: sup ||F|| + sup ||f||."""
        return self.gap >= self.largest_gap


def apriori_bound(
    network: NetworkSpec, rule: AbstractPruningRule, *, delta: float, bias_norms: Row | None = None
) -> AprioriBound:
    """Return the smaller of both options for random weights; ``bias_norms``: fixed ||b_l||, biases are not pruned.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(256,) * 3, activation=activations.ReLU(), target=target)
    >>> round(apriori_bound(net, pruning.MagnitudePruning(alpha=0.5), delta=0.05).gap, 6)
    0.001525
    """
    rule.check_depth(network.depth)
    counts = tuple(rule.n_pruned_of(shape, layer) for layer, shape in enumerate(network.shapes))
    return bound_of_counts(network, rule, counts, delta=delta, bias_norms=bias_norms)


def bound_of_counts(
    network: NetworkSpec,
    rule: AbstractPruningRule,
    n_pruned: tuple[int, ...],
    *,
    delta: float,
    bias_norms: Row | None = None,
) -> AprioriBound:
    """Return the bound where layer l loses ``n_pruned[l]`` weights by ``rule``, whose own amount is not read.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> round(bound_of_counts(net, pruning.MagnitudePruning(alpha=0.5), (64, 0), delta=0.05).gap, 5)
    0.00653
    """
    check_delta(delta)
    depth = network.depth
    biases = bias_norms or (0.0,) * depth
    if len(biases) != depth:
        raise InputError(f"bias_norms must hold one norm for each of the {depth} layers, got {len(biases)}")
    options = ((1, delta / (2 * depth)), (2, delta / (3 * depth - 2)))
    found = [_optional(network, rule, n_pruned, option, share=share, biases=biases) for option, share in options]
    best = min(found, key=lambda f: f.gap)
    return AprioriBound(
        gap=best.gap,
        delta=delta,
        option=best.option,
        events=_events(best.option, best.targets, best.deltas),
        n_pruned=n_pruned,
        target_norms=tuple(b.value for b in best.targets),
        pruned_norms=best.kept,
        delta_norms=tuple(b.value for b in best.deltas),
        output_norm=output_bound(network, delta=delta, biases=biases),
        largest_gap=output_bound(network, delta=delta / 2.0, biases=biases) * 2.0,
    )


def gap_without_union(network: NetworkSpec, rule: AbstractPruningRule, bound: AprioriBound) -> float:
    """Return what ``bound`` would be if every event were granted the whole delta: NOT a bound, the union bound's price.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> rule = pruning.MagnitudePruning(alpha=0.5)
    >>> bound = apriori_bound(net, rule, delta=0.05)
    >>> round(bound.gap / gap_without_union(net, rule, bound), 2)
    1.11
    """
    biases = (0.0,) * network.depth
    return _optional(network, rule, bound.n_pruned, bound.option, share=bound.delta, biases=biases).gap


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    gap: float
    option: int
    targets: list[NormBound]
    deltas: list[NormBound]
    kept: Row


def _optional(
    network: NetworkSpec, rule: AbstractPruningRule, n_pruned: tuple[int, ...], option: int, *, share: float, biases: Row
) -> _Option:
    law, layers = random_law(network), network.weighted
    targets = [layer_target_norm(layer, law, delta=share) for layer in layers]
    pairs = zip(layers, n_pruned, strict=True)
    deltas = [layer_pruned_norm(layer, law, rule, n_pruned=k, delta=share) for layer, k in pairs]
    full, moved = tuple(b.value for b in targets), tuple(b.value for b in deltas)
    kept = tuple(a + e for a, e in zip(full, moved, strict=True)) if option == 1 else full
    gap = network_bound(network, full, kept, moved, biases=biases)
    return _Option(gap=gap, option=option, targets=targets, deltas=deltas, kept=kept)


def network_bound(network: NetworkSpec, targets: Row, pruned: Row, deltas: Row, *, biases: Row | None = None) -> float:
    """Return e_L of the hybrid recursion, the semi-empirical bound if the norms are those of sampled matrices.

    Deterministic: sup ||F - f|| <= e_L whenever ||W*_l||, ||W_l||, ||Delta_l|| are at most ``targets``, ``pruned``,
    ``deltas``. See ``gap.spectral.telescoped_gap`` for the recursion, offsets |s(0)| sqrt(d_l) and biases.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> network_bound(net, (1.0, 1.0), (1.0, 1.0), (0.5, 0.25))
    0.7500000000015001
    """
    norms = LayerNorms(target=np.array([targets]), pruned=np.array([pruned]), delta=np.array([deltas]))
    return float(telescoped_gap(network, norms, biases or (0.0,) * network.depth)[0])


def output_bound(network: NetworkSpec, *, delta: float, biases: Row) -> float:
    """Return N_L with P(sup ||F|| > N_L) <= delta (L events); the same number bounds sup ||f|| (Jensen).

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> round(output_bound(net, delta=0.05, biases=(0.0, 0.0)), 2)
    1.47
    """
    law, depth = random_law(network), network.depth
    norms = tuple(layer_target_norm(layer, law, delta=delta / depth).value for layer in network.weighted)
    # f = 0 in the last layer: the gap is then sup ||F||
    zeros = (0.0,) * (depth - 1)
    last = biases[-1]
    return network_bound(network, norms, (*norms[:-1], 0.0), (*zeros, norms[-1]), biases=biases) + last


def random_law(network: NetworkSpec) -> AbstractDistribution:
    """Return the law of a sampled target's weights; InputError for a trained network.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> random_law(net).name
    'uniform'
    """
    if network.distribution is None:
        raise InputError("an a-priori bound needs random weights, got a trained network; use the certificates of a run")
    return network.distribution


def _events(option: int, targets: list[NormBound], deltas: list[NormBound]) -> tuple[Event, ...]:
    depth = len(targets)
    full = [Event(layer=i, quantity="||W*||", bound=b) for i, b in enumerate(targets) if option == 1 or i > 0]
    kept = [Event(layer=i, quantity="||W||", bound=b) for i, b in enumerate(targets) if option == 2 and i < depth - 1]
    return (*full, *kept, *(Event(layer=i, quantity="||Delta||", bound=b) for i, b in enumerate(deltas)))
