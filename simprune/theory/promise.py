"""What the theory promises for one architecture, as one object: the bound, its budget, the minimal width."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.bounds import AprioriBound, apriori_bound, closed_form
from simprune.theory.exponents import Exponents, all_widths, gap_exponents
from simprune.theory.minimal_width import MinimalWidth, minimal_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A bound with what belongs to it; None where a question was not asked or has no answer."""

    network: NetworkSpec
    bound: AprioriBound
    epsilon: float | None
    width: MinimalWidth | None
    elementary: float | None
    exponents: Exponents | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "network": self.network.to_dict(),
            "bound": dataclasses.asdict(self.bound) | {"vacuous": self.bound.is_vacuous},
            "epsilon": self.epsilon,
            "minimal_width": None if self.width is None else dataclasses.asdict(self.width),
            "closed_form": self.elementary,
            "exponents": None if self.exponents is None else dataclasses.asdict(self.exponents),
        }

    def to_text(self) -> str:
        """Return the itemised table."""
        bound, network = self.bound, self.network
        share = bound.gap / bound.output_norm
        lines = [
            f"gap <= {bound.gap:.4g} with probability {1 - bound.delta:g} over the random weights"
            + (": VACUOUS, it says no more than ||f|| + ||F|| does" if bound.is_vacuous else ""),
            f"sup ||F|| <= {bound.output_norm:.4g} on the same events; the gap is at most {share:.3g} of that bound",
            f"failure budget: {bound.n_events} events of {bound.event_delta:.3g} each (option {bound.option}, union bound)",
            "",
            f"  {'layer':<12} {'pruned':>14} {'share':>9} {'||W*|| <=':>11} {'||W|| <=':>11} {'||Delta|| <=':>13}",
        ]
        for i, (d_out, d_in) in enumerate(network.shapes):
            k, n = bound.n_pruned[i], network.n_weights[i]
            lines.append(
                f"  {f'{d_out} x {d_in}':<12} {k:>14} {k / n:>9.3g} {bound.target_norms[i]:>11.4g} "
                f"{bound.pruned_norms[i]:>11.4g} {bound.delta_norms[i]:>13.4g}"
            )
        return "\n".join([*lines, *self._notes()])

    def _notes(self) -> list[str]:
        notes = [""]
        if self.elementary is not None:
            notes.append(f"closed form (elementary, for all larger widths): gap <= {self.elementary:.4g}")
        if self.width is not None:
            found = "none" if self.width.width is None else str(self.width.width)
            notes.append(
                f"minimal width for gap <= {self.epsilon:g}: {found} (all widths equal, scanned to {self.width.scanned}); "
                f"asked: {max(self.network.widths)}"
            )
        if self.exponents is not None:
            known = self.exponents
            theorem = "makes no claim" if known.theorem1 is None else f"asks for {known.theorem1:g}"
            sharp = "unknown" if known.sharp is None else f"{known.sharp:g}"
            notes.append(f"exponent of 1/d: Theorem 1 {theorem}, sharp {sharp} ({known.regime})")
        if self.network.activation.value_at_zero:
            notes.append(
                "s(0) != 0: the bounds carry a term sqrt(d); the theorem's rate needs s(0) = 0 or a fixed output width"
            )
        notes.append("constants: this project's own, proved; the paper publishes none")
        return notes


def promise(network: NetworkSpec, rule: AbstractPruningRule, *, delta: float, epsilon: float | None = None) -> Promise:
    """Evaluate everything for one architecture; ``epsilon`` asks for the minimal width of the same depth."""
    if epsilon is not None and not 0.0 < epsilon < math.inf:
        raise InputError(f"epsilon must be positive and finite, got {epsilon}; it is the wanted gap")
    bound = apriori_bound(network, rule, delta=delta)
    square = len(set(network.widths)) == 1
    width = None
    if epsilon is not None:

        def at(d: int) -> float:
            same = dataclasses.replace(network, widths=(d,) * (network.depth + 1))
            return apriori_bound(same, rule, delta=delta).gap

        width = minimal_width(at, epsilon)
    law = network.distribution
    assert law is not None
    elementary = None
    alpha = rule.alpha if isinstance(rule.alpha, float) else None
    plain = square and law.name == "uniform" and rule.name == "magnitude" and not network.activation.value_at_zero
    if plain and alpha is not None:
        constant = network.activation.lipschitz
        elementary = closed_form(network.widths[0], alpha, network.depth, K=law.K, lipschitz=constant, delta=delta)
    exponents = gap_exponents(network, rule, growing=all_widths(network.depth)) if square else None
    return Promise(network=network, bound=bound, epsilon=epsilon, width=width, elementary=elementary, exponents=exponents)
