"""Exponents nu in gap ~ d^(-nu) as widths grow: Theorem 1's, the sharp ones, and those of Latala's route.

Sharp means: matched by upper and lower bounds of ||Delta_l|| up to logarithms, for weights whose magnitude has a
positive density at 0. With q = k / D the pruned fraction, ||Delta|| is of the order of q^(3/2) (magnitude) or q^(1/2)
(random, bernoulli), unless its largest entries, of the order of d^(-1/2) q or d^(-1/2), are more.

Between two fixed widths the vectors before the last of the growing layers come from an input of fixed dimension, and that
layer's matrix, pruned or not, is independent of them: its entries of size d^(-1/2) leave d^(-1/2) of their norm, in F and
in f - F alike (s(0) = 0). Derived here; the product of layer norms, and so Latala's route, does not see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from simprune.model.distributions import Uniform
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponents:
    """Exponents of 1/d; None where nothing is known or claimed. ``regime`` says in words what decides."""

    theorem1: float | None
    sharp: float | None
    latala: float | None
    regime: str


def all_widths(depth: int) -> tuple[bool, ...]:
    """Return the dimension rule "all widths are d".

    >>> all_widths(2)
    (True, True, True)
    """
    return (True,) * (depth + 1)


def hidden_widths(depth: int) -> tuple[bool, ...]:
    """Return the dimension rule "d_0 and d_L fixed, hidden widths are d".

    >>> hidden_widths(3)
    (False, True, True, False)
    """
    return (False, *(True,) * (depth - 1), False)


def gap_exponents(network: NetworkSpec, rule: AbstractPruningRule, *, growing: Sequence[bool]) -> Exponents:
    """Return the exponents of the gap when the widths marked in ``growing`` (one flag a width) grow in proportion.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> found = gap_exponents(net, pruning.MagnitudePruning(alpha=0.5), growing=all_widths(2))
    >>> found.theorem1, found.sharp, found.latala
    (0.5, 1.5, 1.25)
    """
    if len(growing) != network.depth + 1 or not any(growing):
        raise InputError(
            f"growing must hold one flag for each of the {network.depth + 1} widths, at least one true, "
            f"got {list(growing)}; use all_widths(depth) or hidden_widths(depth)"
        )
    if network.distribution is None:
        return Exponents(theorem1=None, sharp=None, latala=None, regime="a trained network has no growing width")
    if network.chain is not None:
        return Exponents(theorem1=None, sharp=None, latala=None, regime="no exponent is claimed for convolutions")
    if rule.whole_rows:
        regime = "whole neurons go: a pruned row does not shrink as the width grows, so no vanishing rate is claimed"
        return Exponents(theorem1=None, sharp=None, latala=None, regime=regime)
    if rule.alpha is None:
        return _constant_fraction(network, rule, growing)
    theorem = _theorem1(network, rule, growing)
    if rule.score == "weight" and not network.distribution.is_continuous:
        regime = "all magnitudes tie, so whole rows go: no vanishing rate is claimed"
        return Exponents(theorem1=None, sharp=None, latala=None, regime=regime)
    layers = [_layer(rule, _alpha(rule, i), growing[i + 1], growing[i]) for i in range(network.depth)]
    sharp, _, regime = min(layers)
    latala: float | None = min(value for _, value, _ in layers)
    if _grows_at_zero(network, growing):
        latala = None
        at_zero = _at_zero(rule, _alpha(rule, network.depth - 1))
        sharp, regime = min((sharp, regime), (at_zero, "s(0) != 0 and a wide output: the gap at x = 0 decides"))
    if lost := _lost_between_fixed_widths(network, growing):
        sharp, regime = sharp + lost, f"{regime}; F itself falls as d^(-{lost:g}) between fixed widths, and the gap with it"
    return Exponents(theorem1=theorem, sharp=sharp, latala=latala, regime=regime)


def _alpha(rule: AbstractPruningRule, layer: int) -> float:
    assert rule.alpha is not None
    return rule.alpha[layer] if isinstance(rule.alpha, tuple) else rule.alpha


def _theorem1(network: NetworkSpec, rule: AbstractPruningRule, growing: Sequence[bool]) -> float | None:
    """Theorem 1 of Qian & Klabjan (ICML 2021): magnitude pruning of uniform weights, one alpha, hidden widths grow."""
    covered = (
        rule.name == "magnitude"
        and isinstance(network.distribution, Uniform)
        and isinstance(rule.alpha, float)
        and all(growing[1:-1])
        and (network.depth > 1 or all(growing))
        and not _grows_at_zero(network, growing)
    )
    return _alpha(rule, 0) if covered else None


def _layer(rule: AbstractPruningRule, alpha: float, wide_out: bool, wide_in: bool) -> tuple[float, float, str]:
    by_weight = rule.score == "weight"
    power = "q^(3/2)" if by_weight else "q^(1/2)"
    if wide_out and wide_in:
        sharp = min(3 * alpha, 2 * alpha + 0.5) if by_weight else min(alpha, 0.5)
        latala = 2.5 * alpha if by_weight else 0.5 * alpha
        if alpha <= 0.5:
            return sharp, latala, f"square layers, alpha <= 1/2: ||Delta|| ~ {power}"
        return sharp, latala, "square layers, alpha > 1/2: the largest entries decide, up to logs"
    if wide_out or wide_in:
        value = 1.5 * alpha if by_weight else 0.5 * alpha
        return value, value, f"a layer with one fixed side decides: ||Delta|| ~ {power}"
    return 0.0, 0.0, "a layer whose sides are both fixed decides: its pruned fraction does not fall"


def _grows_at_zero(network: NetworkSpec, growing: Sequence[bool]) -> bool:
    """Whether the last layer is wide on both sides and fed by activations that do not vanish at 0."""
    return network.depth > 1 and network.activation.value_at_zero != 0.0 and growing[-1] and growing[-2]


def _lost_between_fixed_widths(network: NetworkSpec, growing: Sequence[bool]) -> float:
    """Exponent of sup ||F||: 1/2 for every run of growing widths between two fixed ones, 0 with an offset s(0) sqrt(d)."""
    if network.activation.value_at_zero:
        return 0.0
    between = "".join("d" if wide else " " for wide in growing).strip("d").split()
    return 0.5 * len(between)


def _at_zero(rule: AbstractPruningRule, alpha: float) -> float:
    """Exponent of ||F(0) - f(0)|| (proved for two layers, seen in simulation for three)."""
    return (3.0 * alpha if rule.score == "weight" else alpha) - 0.5


def _constant_fraction(network: NetworkSpec, rule: AbstractPruningRule, growing: Sequence[bool]) -> Exponents:
    if all(n == 0 for n in (rule.n_pruned(n, i) for i, n in enumerate(network.n_weights))):
        return Exponents(theorem1=None, sharp=None, latala=None, regime="nothing is pruned: the gap is exactly 0")
    if _grows_at_zero(network, growing):
        regime = "constant pruned fraction and s(0) != 0: the gap GROWS like sqrt(d)"
        return Exponents(theorem1=None, sharp=-0.5, latala=None, regime=regime)
    lost = _lost_between_fixed_widths(network, growing)
    regime = "constant pruned fraction: the gap does NOT vanish as the width grows"
    if lost:
        regime = f"constant pruned fraction: the gap falls only as F itself does between fixed widths, d^(-{lost:g})"
    return Exponents(theorem1=None, sharp=lost, latala=0.0, regime=regime)
