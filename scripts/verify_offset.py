"""Activations with s(0) != 0: the gap at x = 0 of wide sigmoid networks grows like d^(1/2 - 3 alpha) where that is > 0.

Two layers, all widths d, F(0) - f(0) = Delta_2 (1/2, ..., 1/2): E ||F(0) - f(0)||^2 = (1/4) k E T^2 / 3 exactly, with
E T^2 = a^2 (k + 1)(k + 2) / ((D + 1)(D + 2)), a = K / sqrt(d): pruned values are uniform on [-T, T] given T.
"""

import math

import numpy as np
import verify_published as published
from scipy import special
from verify_checks import Check, near, sure
from verify_session import Session
from verify_slopes import slope, slope_error
from verify_table import show

import simprune
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.model.activations import Sigmoid
from simprune.model.pruning import MagnitudePruning, n_pruned_for_alpha
from simprune.theory.exponents import all_widths, gap_exponents

WIDTHS = (64, 128, 256, 512)
TRIALS = {64: 4000, 128: 2000, 256: 1000, 512: 300}
BRACKETED = 8
ASCENT = Ascent(restarts=4, steps=10)
HIDDEN = 0.5


def exact_square(d: int, alpha: float) -> float:
    """Return E ||F(0) - f(0)||^2 of two layers."""
    size, k = d * d, n_pruned_for_alpha(d * d, alpha)
    return HIDDEN**2 * k * (k + 1) * (k + 2) / (3.0 * d * (size + 1) * (size + 2))


def gaps_at_zero(point: Point, trials: int) -> np.ndarray:
    """Return ||F(0) - f(0)|| of rebuilt trials, in float64."""
    gaps = []
    for trial in range(trials):
        rebuilt = simprune.rebuild(point, trial)
        full = kept = np.zeros(point.network.widths[0])
        last = point.network.depth - 1
        for layer, (w, v) in enumerate(zip(rebuilt.target, rebuilt.pruned, strict=True)):
            full, kept = w.astype(np.float64) @ full, v.astype(np.float64) @ kept
            if layer < last:
                full, kept = special.expit(full), special.expit(kept)
        gaps.append(float(np.linalg.norm(full - kept)))
    return np.array(gaps)


def two_layers(session: Session) -> list[Check]:
    checks, rows, measured = [], [], {}
    for d in session.widths(*WIDTHS):
        point = session.point((d,) * 3, MagnitudePruning(alpha=0.1), ASCENT, activation=Sigmoid())
        gaps = gaps_at_zero(point, session.trials(TRIALS[d], least=8))
        squares, exact = gaps**2, exact_square(d, 0.1)
        error = float(squares.std(ddof=1)) / math.sqrt(len(squares))
        measured[d] = exact
        what = f"two sigmoid layers, alpha 0.1, d = {d}: mean square gap at 0 - {exact:.5g}"
        checks.append(near(what, float(squares.mean()) - exact, error, df=len(squares) - 1))
        checks += bracketed(session, point, gaps)
        theirs = published.OFFSET.get(d, ("", ""))
        rows.append((d, len(gaps), f"{exact:.4f}", f"{squares.mean():.4f} +- {error:.4f}", *theirs))
        if d in published.OFFSET:
            same = abs(exact - published.OFFSET[d][0]) <= 5e-5
            checks.append(sure(f"two sigmoid layers, d = {d}: formula {exact:.5f} is not {published.OFFSET[d][0]}", same))
    checks.append(
        sure("the mean square gap at 0 grows with d at alpha = 0.1", list(measured.values()) == sorted(measured.values()))
    )
    columns = ("d", "n", "exact", "simulated", "prototype: exact", "simulated")
    show("Sigmoid, L = 2, alpha 0.1, magnitude: E ||F(0) - f(0)||^2 grows with the width", columns, rows)
    return checks


def bracketed(session: Session, point: Point, gaps: np.ndarray) -> list[Check]:
    """The origin is among the starts of the ascent, so the attained gap is not below the gap there (float32 passes)."""
    (table,) = session.rows([point], min(BRACKETED, len(gaps)))
    reached = table["gap_lower"] + table["noise_floor"]
    holds = bool(np.all(reached >= gaps[: len(reached)] * (1.0 - 1e-5)))
    return [sure(f"d = {point.network.widths[0]}: attained gaps are not below the gaps at 0", holds)]


def growth(session: Session) -> list[Check]:
    """Three layers: slopes of the root mean square gap at 0, beside 1/2 - 3 alpha and the two-layer formula's slope."""
    checks, rows = [], []
    widths = session.widths(*WIDTHS)
    for alpha, theirs in published.OFFSET_SLOPES.items():
        rule = MagnitudePruning(alpha=alpha)
        logs, errors = [], []
        for d in widths:
            point = session.point((d,) * 4, rule, ASCENT, activation=Sigmoid())
            squares = gaps_at_zero(point, session.trials(TRIALS[d] // 8, least=8)) ** 2
            logs.append(0.5 * math.log(squares.mean()))
            errors.append(0.5 * float(squares.std(ddof=1)) / (math.sqrt(len(squares)) * float(squares.mean())))
        fitted, error = slope(widths, logs), slope_error(widths, errors)
        finite = slope(widths, [0.5 * math.log(exact_square(d, alpha)) for d in widths])
        asymptotic = 0.5 - 3.0 * alpha
        margin = 1.0 / min(widths)
        low, high = min(finite, asymptotic) - margin, max(finite, asymptotic) + margin
        what = f"three sigmoid layers, alpha {alpha}: slope {fitted:+.3f} of the gap at 0"
        checks.append(
            near(what, fitted, error, allowance=(low, high), df=session.trials(TRIALS[max(widths)] // 8, least=8) - 1)
        )
        claimed = gap_exponents(point.network, rule, growing=all_widths(3)).sharp
        checks.append(
            sure(
                f"alpha {alpha}: the package claims exponent {claimed}",
                claimed is not None and math.isclose(-claimed, asymptotic),
            )
        )
        cells = (f"{fitted:+.3f} +- {error:.3f}", f"{finite:+.3f}", f"{asymptotic:+.3f}", f"{low:+.3f} .. {high:+.3f}")
        rows.append((alpha, *cells, f"{theirs:+.3f}"))
    columns = ("alpha", "fitted slope", "two-layer formula", "1/2 - 3 alpha", "allowed", "prototype")
    note = "allowed: between both (finite counts), widened by 1 / smallest width (corrections of relative order 1/d)"
    show(
        f"Sigmoid, L = 3, magnitude: slope of the rms gap at 0 over d = {', '.join(map(str, widths))}",
        columns,
        rows,
        notes=[note],
    )
    return checks
