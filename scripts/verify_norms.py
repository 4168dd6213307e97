"""Norms of the layers against their a-priori bounds, for every law and rule, and against the prototype's figures."""

import math

import numpy as np
import verify_published as published
from verify_checks import Check, at_most, near, sure
from verify_session import ALL_RULES, DELTA, Session
from verify_table import show

import simprune
from simprune.design.point import Point
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.distributions import DISTRIBUTIONS, AbstractDistribution, Uniform
from simprune.model.pruning import AbstractPruningRule
from simprune.records import TrialTable
from simprune.theory.bounds import random_law
from simprune.theory.layers import delta_norm, target_norm
from simprune.theory.norms import NormBound

LAYERS = 4
TRIALS = {64: 200, 128: 150, 256: 100, 512: 40}
EXCESS = 1e-3
"""Certified norms lie above the norms by this share at most; the section checks it."""
Row = tuple[object, ...]
Key = tuple[str, AbstractPruningRule, int]
COLUMNS = ("alpha", "d", "n", "mean|W*|", "b/mean", "mean|D|", "b/mean", "b/q95", "bound", "W*", "W", "D")


def norms(session: Session) -> list[Check]:
    checks: list[Check] = []
    lines: dict[Key, Row] = {}
    compared: list[Row] = []
    for d in session.widths(*TRIALS):
        points = [
            session.point((d,) * (LAYERS + 1), rule, Sampled(samples=1), Spectral(), law=law())
            for law in DISTRIBUTIONS
            for rule in ALL_RULES
        ]
        for table in session.rows(points, session.trials(TRIALS[d])):
            line, found = judged(table, first=table.point.rule == ALL_RULES[0])
            point = table.point
            lines[law_of(point).name, point.rule, d] = line
            checks += found
            if law_of(point) is Uniform and point.rule.name == "magnitude":
                pair, found = against_prototype(table, line)
                compared.append(pair)
                checks += found
    note = f"certified norms of {LAYERS} layers a trial, decided by LAPACK where above a bound; bounds at delta = {DELTA}"
    for law in DISTRIBUTIONS:
        for name in dict.fromkeys(rule.name for rule in ALL_RULES):
            rows = sorted(line for (by, rule, _), line in lines.items() if (by, rule.name) == (law.name, name))
            show(
                f"{law.name}, {name}: norms, and violations of their bounds (W*, W, D = Delta)", COLUMNS, rows, notes=[note]
            )
    columns = ("d", "alpha", "mean|W*|", "b/mean", "mean|D|", "b/mean", "b/q95", "dev W*", "dev D")
    note = "dev: (ours - prototype) in standard errors of both samples; equality of the means is tested"
    show("uniform, magnitude: prototype | ours", columns, compared, notes=[note])
    return checks


def law_of(point: Point) -> type[AbstractDistribution]:
    return type(random_law(point.network))


def judged(table: TrialTable, *, first: bool) -> tuple[Row, list[Check]]:
    """Return a line of the table and its tests; those of ||W*|| and of the certificates only for the ``first`` rule."""
    point = table.point
    law, shape = random_law(point.network), point.network.shapes[0]
    full, moved = target_norm(shape, law, delta=DELTA), delta_norm(shape, law, point.rule, layer=0, delta=DELTA)
    where = f"{law.name}, {point.rule.name} {point.rule.alpha}, d = {shape[0]}"
    counts, checks = violations(where, table, full, moved, targets=first)
    return row(table, full, moved, counts), checks + (certified(table) if first else [])


def violations(
    where: str, table: TrialTable, full: NormBound, moved: NormBound, *, targets: bool
) -> tuple[tuple[int, int, int], list[Check]]:
    """Return the counts of ||W*||, ||W||, ||Delta|| above their bounds, and their tests (||W*|| if ``targets``)."""
    bounds = {"target_norm": full.value, "pruned_norm": full.value, "delta_norm": moved.value}
    counts = [above(table, column, bound) for column, bound in bounds.items()]
    n = table["delta_norm"].size
    checks = [
        at_most(f"{where}: {column} above its bound", count, n, DELTA)
        for column, count in zip(bounds, counts, strict=True)
        if targets or column != "target_norm"
    ]
    return (counts[0], counts[1], counts[2]), checks


def above(table: TrialTable, column: str, bound: float) -> int:
    """Count norms above ``bound``: certified ones are, or LAPACK decides on the rebuilt matrices."""
    certainly = int(np.count_nonzero(table[column] > bound * (1.0 + 2.0 * EXCESS)))
    open_rows = np.argwhere((table[column] > bound) & (table[column] <= bound * (1.0 + 2.0 * EXCESS)))
    return certainly + sum(exact(table.point, int(table["trial"][i]), int(layer), column) > bound for i, layer in open_rows)


def exact(point: Point, trial: int, layer: int, column: str) -> float:
    rebuilt = simprune.rebuild(point, trial)
    target, kept = rebuilt.target[layer].astype(np.float64), rebuilt.pruned[layer].astype(np.float64)
    matrix = {"target_norm": target, "pruned_norm": kept, "delta_norm": target - kept}[column]
    return float(np.linalg.norm(matrix, 2))


def certified(table: TrialTable) -> list[Check]:
    """Certified norms of the first trial lie between LAPACK's and EXCESS above."""
    checks = []
    for column in ("target_norm", "pruned_norm", "delta_norm"):
        for layer in range(LAYERS):
            norm, proved = exact(table.point, 0, layer, column), float(table[column][0, layer])
            holds = norm * (1.0 - 1e-12) <= proved <= norm * (1.0 + EXCESS)
            checks.append(
                sure(f"certified {column} {proved:.6g} against {norm:.6g} at d = {table.point.network.widths[0]}", holds)
            )
    return checks


def row(table: TrialTable, full: NormBound, moved: NormBound, counts: tuple[int, int, int]) -> Row:
    point = table.point
    target, delta = table["target_norm"].mean(), table["delta_norm"]
    mean, high = delta.mean(), float(np.quantile(delta, 0.95))
    ratios = (f"{moved.value / mean:.2f}", f"{moved.value / high:.2f}")
    sizes = (point.rule.alpha, point.network.widths[0], delta.size)
    return (*sizes, f"{target:.3f}", f"{full.value / target:.2f}", f"{mean:.3g}", *ratios, moved.method, *counts)


def against_prototype(table: TrialTable, line: Row) -> tuple[Row, list[Check]]:
    """Return the figures side by side, and the tests that the mean norms are equal."""
    d, alpha = table.point.network.widths[0], line[0]
    assert isinstance(alpha, float)
    cell = published.CELLS[d, alpha]
    theirs = (cell.full, cell.full_ratio, cell.moved, cell.moved_ratio, cell.moved_q95)
    pairs = [f"{a} | {b}" for a, b in zip(theirs, line[3:8], strict=True)]
    where = f"uniform, magnitude {alpha}, d = {d}: mean"
    found = [agreement(where, table, *named) for named in (("target_norm", cell.full), ("delta_norm", cell.moved))]
    return (d, alpha, *pairs, *(f"{z:+.1f}" for _, z in found)), [check for check, _ in found]


def agreement(where: str, table: TrialTable, column: str, text: str) -> tuple[Check, float]:
    """Return the t-test against a published mean, and the deviation in standard errors of both samples."""
    values, theirs = table[column].ravel(), published.N_NORMS[table.point.network.widths[0]]
    error = float(values.std(ddof=1)) * math.sqrt(1.0 / len(values) + 1.0 / theirs)
    rounding, difference = published.half_unit(text), float(values.mean()) - float(text)
    allowance = (-rounding, rounding + EXCESS * float(values.mean()))
    check = near(f"{where} {column} - {text}", difference, error, allowance=allowance, df=len(values) - 1)
    return check, difference / error
