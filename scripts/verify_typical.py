"""The first-order typical gap against simulated networks, beside an exact formula (identity) and an infinite-width one.

rms over weights, masks and one uniform unit input a trial. With e = E Delta_ij^2 / E W_ij^2, identity networks obey
E ||F - f||^2 = v^L (1 - (1 - e)^L) exactly (v = d E W_ij^2; f and F - f have uncorrelated rows given the input). For ReLU
the covariance of the pre-activations is carried from layer to layer as if they were Gaussian (arc-cosine kernel).
"""

import math

from verify_checks import Check, near
from verify_session import ALPHAS, Session
from verify_table import show

from simprune.gap.sampled import Sampled
from simprune.model.activations import Identity, ReLU
from simprune.model.pruning import AbstractPruningRule, MagnitudePruning, RandomPruning
from simprune.records import TrialTable
from simprune.theory.typical import typical_gap

TRIALS = {64: 4000, 256: 600}
DEPTHS = (2, 3)
RULES = tuple(rule(alpha=alpha) for rule in (MagnitudePruning, RandomPruning) for alpha in ALPHAS)
VARIANCE = 1.0 / 3.0
"""v of uniform weights, K = 1."""


def typical(session: Session) -> list[Check]:
    checks, rows = [], []
    for d in session.widths(*TRIALS):
        points = [
            session.point((d,) * (depth + 1), rule, Sampled(samples=1), activation=activation)
            for activation in (Identity(), ReLU())
            for depth in DEPTHS
            for rule in RULES
        ]
        for table in session.rows(points, session.trials(TRIALS[d], least=50)):
            check, line = compared(table)
            checks.append(check)
            rows.append(line)
    columns = (
        "activation",
        "L",
        "d",
        "rule",
        "alpha",
        "n",
        "simulated rms",
        "exact or wide",
        "sim / that",
        "first order / sim",
    )
    notes = ["tested: the mean square against the exact formula (identity) or the infinite-width one within L / d (relu)"]
    show("Typical gap: root mean square over weights, masks and unit inputs, uniform weights", columns, rows, notes=notes)
    return checks


def compared(table: TrialTable) -> tuple[Check, tuple[object, ...]]:
    """Gap values are attained at one input; their rounding floor, taken off by the row, is put back."""
    point = table.point
    network, rule, d = point.network, point.rule, point.network.widths[0]
    squares = (table["gap_lower"] + table["noise_floor"]) ** 2
    mean, error = float(squares.mean()), float(squares.std(ddof=1)) / math.sqrt(len(squares))
    share = pruned_energy(rule, d)
    linear = network.activation.is_linear
    expected = linear_square(share, network.depth) if linear else wide_relu_square(share, network.depth)
    allowance = 0.0 if linear else network.depth / d
    what = (
        f"{network.activation.name}, L = {network.depth}, d = {d}, {rule.name} {rule.alpha}: mean square gap / formula - 1"
    )
    check = near(what, mean / expected - 1.0, error / expected, allowance=(-allowance, allowance), df=len(squares) - 1)
    first = typical_gap(network, rule)
    assert first is not None
    rms = math.sqrt(mean)
    ratio = f"{rms / math.sqrt(expected):.3f} +- {0.5 * error / mean:.3f}"
    sizes = (network.activation.name, network.depth, d, rule.name, rule.alpha, len(squares))
    return check, (*sizes, f"{rms:.4g}", f"{math.sqrt(expected):.4g}", ratio, f"{first / rms:.3f}")


def pruned_energy(rule: AbstractPruningRule, d: int) -> float:
    """Return E Delta_ij^2 / E W_ij^2 of uniform weights: q, for magnitude pruning times E T^2 / a^2."""
    size = d * d
    k = rule.n_pruned(size, 0)
    return k / size * (1.0 if rule.is_random else (k + 1) * (k + 2) / ((size + 1) * (size + 2)))


def linear_square(share: float, depth: int) -> float:
    return float(VARIANCE**depth * -math.expm1(depth * math.log1p(-share)))


def wide_relu_square(share: float, depth: int) -> float:
    """Return ||F||^2 + ||f||^2 - 2 <F, f> in the limit of wide layers; <h, hh> after ReLU by Cho & Saul (2009)."""
    full = kept = both = 1.0
    for layer in range(depth):
        full, kept, both = VARIANCE * full, VARIANCE * (1.0 - share) * kept, VARIANCE * (1.0 - share) * both
        if layer < depth - 1:
            size = math.sqrt(full * kept)
            angle = math.acos(min(1.0, both / size))
            both = size / (2.0 * math.pi) * (math.sin(angle) + (math.pi - angle) * math.cos(angle))
            full, kept = 0.5 * full, 0.5 * kept
    return full + kept - 2.0 * both
