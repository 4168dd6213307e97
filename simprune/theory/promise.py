"""What the theory promises for one architecture, as one object: the bound, its budget, the minimal width, the counts."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.bounds import AprioriBound, Event, apriori_bound, random_law
from simprune.theory.budget import Budget, pruning_budget
from simprune.theory.closed_form import closed_form, sufficient_width
from simprune.theory.comparison import Curve, comparison_curves
from simprune.theory.exponents import Exponents, all_widths, gap_exponents, hidden_widths
from simprune.theory.minimal_width import MinimalWidth, minimal_network_width
from simprune.theory.typical import typical_gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A bound with what belongs to it; None where a question was not asked or has no answer.

    ``elementary``: the closed form's gap; ``elementary_width``: its one-line sufficient width, a power of two.
    ``typical``: first-order rms gap over inputs, no bound. ``curves``: comparison curves of ||Delta_1|| at its scale.
    """

    network: NetworkSpec
    rule: AbstractPruningRule
    bound: AprioriBound
    elementary: float | None
    typical: float | None
    exponents: Exponents
    grows: str
    curves: tuple[Curve, ...]
    epsilon: float | None
    width: MinimalWidth | None
    elementary_width: int | None
    counts: Budget | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "network": self.network.to_dict(),
            "rule": self.rule.to_dict(),
            "bound": self._bound_dict(),
            "closed_form": self.elementary,
            "typical_gap": self.typical,
            "exponents": dataclasses.asdict(self.exponents) | {"grows": self.grows},
            "comparison_curves": [dataclasses.asdict(curve) for curve in self.curves],
            "epsilon": self.epsilon,
            "minimal_width": None if self.width is None else dataclasses.asdict(self.width),
            "closed_form_width": self.elementary_width,
            "prunable": None if self.counts is None else dataclasses.asdict(self.counts),
        }

    def _bound_dict(self) -> dict[str, Any]:
        bound = self.bound
        plain = {f.name: getattr(bound, f.name) for f in dataclasses.fields(bound) if f.name != "events"}
        return plain | {"vacuous": bound.is_vacuous, "events": [_event_dict(event) for event in bound.events]}


def promise(
    network: NetworkSpec,
    rule: AbstractPruningRule,
    *,
    delta: float,
    epsilon: float | None = None,
    fixed_ends: bool | None = None,
    counts: bool = False,
) -> Promise:
    """Evaluate everything for one architecture; ``epsilon`` asks for the minimal width, ``counts`` for prunable counts.

    ``fixed_ends``: only hidden widths grow; by default where the widths are not all equal.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> told = promise(net, pruning.MagnitudePruning(alpha=0.5), delta=0.05, epsilon=0.1)
    >>> round(told.bound.gap, 4), told.width.width
    (0.0131, 19)
    """
    bound = apriori_bound(network, rule, delta=delta)
    if counts and epsilon is None:
        raise InputError("prunable counts need the tolerated gap, got no epsilon; give one")
    fixed = len(set(network.widths)) > 1 if fixed_ends is None else fixed_ends
    fixed = fixed and network.depth > 1 and network.chain is None
    form = closed_form(network, rule, delta=delta)
    growing = hidden_widths(network.depth) if fixed else all_widths(network.depth)
    square = len(set(network.widths)) == 1
    elementary = form.gap(network.widths[0]) if form and square else math.inf
    width = elementary_width = None
    if epsilon is not None and network.chain is None:
        width = minimal_network_width(network, rule, epsilon=epsilon, delta=delta, fixed_ends=fixed)
        elementary_width = sufficient_width(form, epsilon) if form and not fixed else None
    return Promise(
        network=network,
        rule=rule,
        bound=bound,
        elementary=elementary if math.isfinite(elementary) else None,
        typical=typical_gap(network, rule),
        exponents=gap_exponents(network, rule, growing=growing),
        grows="hidden widths" if fixed else "all widths",
        curves=_curves(network, rule, bound.n_pruned[0]),
        epsilon=epsilon,
        width=width,
        elementary_width=elementary_width,
        counts=pruning_budget(network, rule, epsilon=epsilon, delta=delta) if counts and epsilon is not None else None,
    )


def _curves(network: NetworkSpec, rule: AbstractPruningRule, n_pruned: int) -> tuple[Curve, ...]:
    if not n_pruned or not rule.is_random or rule.whole_rows or network.chain is not None:
        return ()
    law, shape = random_law(network), network.shapes[0]
    curves = comparison_curves(*shape, n_pruned / (shape[0] * shape[1]), law)
    return tuple(dataclasses.replace(curve, value=curve.value * law.scale(*shape)) for curve in curves)


def _event_dict(event: Event) -> dict[str, Any]:
    return {"layer": event.layer, "quantity": event.quantity} | dataclasses.asdict(event.bound)
