"""Minimal widths against the prototype's, and the promise at such a width kept by simulated networks."""

import dataclasses

import numpy as np
import verify_published as published
from verify_checks import Check, at_most, sure
from verify_session import DELTA, Session
from verify_table import show

from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.model.activations import ReLU
from simprune.model.distributions import Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RULES, AbstractPruningRule
from simprune.theory.bounds import apriori_bound
from simprune.theory.closed_form import closed_form
from simprune.theory.minimal_width import minimal_network_width

BISECTION = 1.0 / 200.0
"""Both searches bisect to this share of the width, or to 1."""
SIMULATED_UP_TO = 256
TRIALS = 400


def network(depth: int) -> NetworkSpec:
    return NetworkSpec(widths=(8,) * (depth + 1), activation=ReLU(), target=SampledTarget(distribution=Uniform()))


def rule_named(name: str, alpha: float) -> AbstractPruningRule:
    return next(rule(alpha=alpha) for rule in RULES if rule.name == name)


def widths(session: Session) -> list[Check]:
    """Our widths are at most the prototype's: equal where the inequalities are the same, smaller where ours are sharper."""
    checks, rows = [], []
    for (name, depth, alpha), texts in published.WIDTHS.items():
        cells = []
        for epsilon, text in zip(published.EPSILONS, texts, strict=True):
            found = minimal_network_width(network(depth), rule_named(name, alpha), epsilon=epsilon, delta=DELTA).width
            cells.append(f"{text or '-'} | {told(found, text)}")
            holds = text is None or (found is not None and found <= largest(text))
            checks.append(sure(f"{name} {alpha}, L = {depth}, epsilon {epsilon}: width {found} above {text}", holds))
        rows.append((name, depth, alpha, *cells))
    columns = ("rule", "L", "alpha", *(f"epsilon {epsilon}" for epsilon in published.EPSILONS))
    notes = [
        "prototype | ours (=: equal, where the prototype's is rounded up to that "
        f"and the {BISECTION:.1%} of both bisections; else our share of theirs)",
        "smaller widths come from sharper inequalities, larger ones fail; -: above 2^34",
    ]
    show(f"Minimal widths, uniform weights, all widths d, delta = {DELTA}", columns, rows, notes=notes)
    return [*checks, *closed_forms(), *fixed_ends()]


def largest(text: str) -> float:
    if "e" not in text:
        return int(text)
    return (float(text) + published.half_unit(text)) * (1.0 + BISECTION) + 1.0


def told(found: int | None, text: str | None) -> str:
    if found is None or text is None:
        return "-" if found is None else f"{found:.3g}"
    least = (float(text) - published.half_unit(text)) / (1.0 + BISECTION) - 1.0
    same = (least if "e" in text else largest(text)) <= found <= largest(text)
    return f"{found:.6g} " + ("=" if same else f"x{found / float(text):.2f}")


def closed_forms() -> list[Check]:
    checks, rows = [], []
    for alpha, powers in published.CLOSED_FORM_POWERS.items():
        form = closed_form(network(2), rule_named("magnitude", alpha), delta=DELTA)
        assert form is not None
        found = tuple(
            next(p for p in range(1, 60) if form.gap(1 << p) <= epsilon and form.gap(2 << p) <= epsilon)
            for epsilon in published.EPSILONS
        )
        rows.append((alpha, *(f"2^{a} | 2^{b}" for a, b in zip(powers, found, strict=True))))
        checks.append(sure(f"closed form, alpha {alpha}: powers {found} for {powers}", found == powers))
    columns = ("alpha", *(f"epsilon {epsilon}" for epsilon in published.EPSILONS))
    show("Widths of the closed form, magnitude, L = 2: prototype | ours (equal)", columns, rows)
    return checks


def fixed_ends() -> list[Check]:
    checks, rows = [], []
    net = dataclasses.replace(network(3), widths=(784, 64, 64, 10))
    for alpha, width in published.FIXED_ENDS.items():
        found = minimal_network_width(net, rule_named("magnitude", alpha), epsilon=0.1, delta=DELTA, fixed_ends=True).width
        rows.append((alpha, f"{width} | {told(found, str(width))}"))
        checks.append(sure(f"784-d-d-10, alpha {alpha}: {found} above {width}", found is not None and found <= width))
    show("Minimal hidden widths of 784-d-d-10, magnitude, epsilon 0.1", ("alpha", "d"), rows)
    return checks


def promises(session: Session) -> list[Check]:
    """At minimal widths the bound is at most epsilon, and simulated gaps exceed epsilon with probability delta at most."""
    cells: dict[Point, float] = {}
    for (name, depth, alpha), texts in published.WIDTHS.items():
        for epsilon, text in zip(published.EPSILONS, texts, strict=True):
            if text is None or largest(text) > SIMULATED_UP_TO:
                continue
            rule = rule_named(name, alpha)
            width = minimal_network_width(network(depth), rule, epsilon=epsilon, delta=DELTA).width
            if width is not None and width <= session.largest:
                cells[session.point((width,) * (depth + 1), rule, Ascent(restarts=8, steps=30))] = epsilon
    checks, rows = [], []
    for table in session.rows(list(cells), session.trials(TRIALS)):
        point, gaps = table.point, table["gap_lower"]
        epsilon, bound = cells[point], apriori_bound(point.network, point.rule, delta=DELTA).gap
        above, d = int(np.count_nonzero(gaps > epsilon)), point.network.widths[0]
        where = f"{point.rule.name} {point.rule.alpha}, L = {point.network.depth}, d = {d}"
        checks.append(sure(f"{where}: bound {bound:.4g} above {epsilon}", bound <= epsilon))
        checks.append(at_most(f"{where}: gap above {epsilon}", above, len(gaps), DELTA))
        cell = (point.rule.name, point.network.depth, point.rule.alpha, epsilon, d, f"{bound:.4g}")
        rows.append((*cell, f"{gaps.max():.3g}", f"{gaps.max() / epsilon:.3f}", f"{above} of {len(gaps)}"))
    columns = ("rule", "L", "alpha", "epsilon", "width", "bound", "largest gap", "/ epsilon", "above epsilon")
    show("Simulated networks of minimal width (attained gaps)", columns, rows)
    return checks
