"""Gaps of ReLU networks: attained, certified twice, and promised a priori, for every law and rule."""

import math

import numpy as np
import verify_published as published
from verify_checks import Check, at_most, near, sure
from verify_session import ALL_RULES, DELTA, Session
from verify_table import show

from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.base import AbstractGapEstimator, LayerNorms
from simprune.gap.semidefinite import Semidefinite
from simprune.gap.spectral import Spectral, telescoped_gap
from simprune.model.distributions import DISTRIBUTIONS, Uniform
from simprune.records import TrialTable
from simprune.theory.bounds import apriori_bound, random_law

DEPTHS = (2, 3, 4)
TRIALS = {64: 40, 128: 20, 256: 12, 512: 6}
ASCENT = Ascent(restarts=16, steps=60)
SEMIDEFINITE_UP_TO = 128
SHARE = 0.85
"""The ascent's bar: its share of the best known value (scripts/bench, section sup)."""
COLUMNS = ("alpha", "d", "L", "n", "gap", "semi/gap", "sdp/gap", "a priori/gap", "above")
MISSING = "-"


def gaps(session: Session) -> list[Check]:
    notes = [
        "gap: mean of the attained values; semi: norms of the trial's own matrices; sdp: semidefinite certificate",
        f"above: attained values above the a-priori bound of delta = {DELTA}",
    ]
    tables = [table for d in session.widths(*TRIALS) for table in rows(session, d)]
    lines = {table.point: row(table) for table in tables}
    for law in DISTRIBUTIONS:
        for name in dict.fromkeys(rule.name for rule in ALL_RULES):
            chosen = sorted(line for point, line in lines.items() if kind(point) == (law.name, name))
            show(f"{law.name}, {name}, ReLU: attained gaps and their bounds", COLUMNS, chosen, notes=notes)
    uniform = {key(t.point): t for t in tables if kind(t.point) == (Uniform.name, "magnitude")}
    return [check for table in tables for check in judged(table)] + against_prototype(uniform)


def kind(point: Point) -> tuple[str, str]:
    return random_law(point.network).name, point.rule.name


def key(point: Point) -> tuple[int, object, int]:
    return point.network.widths[0], point.rule.alpha, point.network.depth


def rows(session: Session, d: int) -> list[TrialTable]:
    upper: AbstractGapEstimator = Semidefinite() if d <= SEMIDEFINITE_UP_TO else Spectral()
    points = [
        session.point((d,) * (depth + 1), rule, ASCENT, upper, law=law())
        for law in DISTRIBUTIONS
        for depth in DEPTHS
        for rule in ALL_RULES
    ]
    return session.rows(points, session.trials(TRIALS[d]))


def semi_empirical(table: TrialTable) -> np.ndarray:
    norms = LayerNorms(target=table["target_norm"], pruned=table["pruned_norm"], delta=table["delta_norm"])
    return telescoped_gap(table.point.network, norms, (0.0,) * table.point.network.depth)


def judged(table: TrialTable) -> list[Check]:
    """A certificate is never below an attained gap, and the a-priori bound fails with probability delta at most."""
    where, lower = told(table.point), table["gap_lower"]
    bound = apriori_bound(table.point.network, table.point.rule, delta=DELTA).gap
    return [
        sure(f"{where}: a certificate below an attained gap", bool(np.all(lower <= table["gap_upper"]))),
        sure(f"{where}: a product of norms below an attained gap", bool(np.all(lower <= semi_empirical(table)))),
        at_most(f"{where}: gap above the a-priori bound", int(np.count_nonzero(lower > bound)), len(lower), DELTA),
    ]


def told(point: Point) -> str:
    network, rule = point.network, point.rule
    law = network.distribution.name if network.distribution else "trained"
    amount = rule.alpha if rule.pruned_fraction is None else f"fraction {rule.pruned_fraction}"
    return f"{law}, {rule.name} {amount}, {network.activation.name}, widths {'-'.join(map(str, network.widths))}"


def row(table: TrialTable) -> tuple[object, ...]:
    point, lower = table.point, table["gap_lower"]
    d, depth, mean = point.network.widths[0], point.network.depth, float(lower.mean())
    bound = apriori_bound(point.network, point.rule, delta=DELTA).gap
    semi = f"{semi_empirical(table).mean() / mean:.2f}" if mean else MISSING
    sdp = f"{table['gap_upper'].mean() / mean:.2f}" if mean and d <= SEMIDEFINITE_UP_TO else MISSING
    priori = f"{bound / mean:.2f}" if mean else MISSING
    return (point.rule.alpha, d, depth, len(lower), f"{mean:.3g}", semi, sdp, priori, int(np.count_nonzero(lower > bound)))


def against_prototype(tables: dict[tuple[int, object, int], TrialTable]) -> list[Check]:
    """Our ascent attains SHARE of the prototype's mean gap at least: one-sided, as both only attain the supremum."""
    lines, checks = [], []
    for (d, alpha), cell in published.CELLS.items():
        found = [tables[d, alpha, depth] for depth in DEPTHS if (d, alpha, depth) in tables]
        if found:
            line, check = pair(cell, found)
            lines.append(line)
            checks.append(check)
    columns = ("d", "alpha", "gap, L = 2", "semi/gap, L = 2 3 4", "a priori/gap, L = 2 3 4", "gap ratio")
    note = f"both ascents attain lower values of the same suprema; a mean below {SHARE} of the prototype's fails"
    show("uniform, magnitude: prototype | ours", columns, lines, notes=[note])
    return checks


def pair(cell: published.Cell, found: list[TrialTable]) -> tuple[tuple[object, ...], Check]:
    gap, theirs = found[0]["gap_lower"], float(cell.gap)
    (d, alpha, _), mean = key(found[0].point), float(gap.mean())
    error = float(gap.std(ddof=1)) * math.sqrt(1.0 / len(gap) + SHARE**2 / published.N_GAPS[d])
    least = (SHARE - 1.0) * theirs - published.half_unit(cell.gap)
    what = f"uniform, magnitude {alpha}, d = {d}, L = 2: mean gap - {cell.gap}"
    check = near(what, mean - theirs, error, allowance=(least, math.inf), df=len(gap) - 1)
    semi, priori = [], []
    for table in found:
        attained = table["gap_lower"].mean()
        semi.append(f"{semi_empirical(table).mean() / attained:.1f}")
        priori.append(f"{apriori_bound(table.point.network, table.point.rule, delta=DELTA).gap / attained:.1f}")
    published_text = (cell.gap, " ".join(f"{r:g}" for r in cell.semi), " ".join(f"{r:g}" for r in cell.apriori))
    ours = (f"{mean:.3g}", " ".join(semi), " ".join(priori))
    return (d, alpha, *(f"{a} | {b}" for a, b in zip(published_text, ours, strict=True)), f"{mean / theirs:.3f}"), check
