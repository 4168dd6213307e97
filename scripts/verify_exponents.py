"""Exponents of attained gaps and of ||Delta|| in the width, beside the sharp ones, Theorem 1's and Latala's route's.

A fit fails if it lies implausibly far outside the exponents that its finite widths allow where the sharp exponent is
right (verify_slopes.py); its standard error is that of the analysis's exact bootstrap.
"""

import math
from collections.abc import Sequence

import numpy as np
import verify_published as published
from scipy import stats
from verify_checks import Check, near
from verify_session import ALPHAS, Session
from verify_slopes import ASCENT_SHARE, Interval, gap_range, norm_range
from verify_table import show

from simprune.analysis.scaling import ExponentFit, QuantileSample, fit_exponent, quantile_sample
from simprune.analysis.summary import FamilySummary
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.pruning import AbstractPruningRule, MagnitudePruning, RandomPruning
from simprune.records import TrialTable

WIDTHS = (64, 128, 256, 512, 1024)
ENDS = (16, 10)
TRIALS = 24
ASCENT = Ascent(restarts=16, steps=40)
RULES = tuple(rule(alpha=alpha) for rule in (MagnitudePruning, RandomPruning) for alpha in ALPHAS)
FRACTIONS = (0.1, 0.5, 0.9)
FRACTION_RULES = tuple(rule(pruned_fraction=p) for rule in (MagnitudePruning, RandomPruning) for p in FRACTIONS)
COLUMNS = ("rule", "alpha", "quantity", "fitted", "95 %", "sharp", "Theorem 1", "Latala", "allowed", "prototype")
NOTES = (
    "fitted to medians; allowed: what these finite widths may fit to where the sharp exponent is right, for the gap also "
    f"with an ascent's share of {ASCENT_SHARE} .. 1 of the supremum",
)


def square(session: Session) -> list[Check]:
    """All widths d, L = 2."""
    widths = session.widths(*WIDTHS)
    shapes = {d: (d,) * 3 for d in widths}
    title = f"Exponents of 1/d, all widths d = {', '.join(map(str, widths))}, L = 2, uniform, ReLU"
    return laboratory(session, shapes, RULES, title, layers=(0, 1), terms=((0, 1),), told=published.EXPONENTS)


def fixed_ends(session: Session) -> list[Check]:
    """Widths 16-d-d-10, L = 3: the end layers decide, the middle one adds at finite widths; F itself falls as d^(-1/2)."""
    widths = session.widths(*WIDTHS)
    shapes = {d: (ENDS[0], d, d, ENDS[1]) for d in widths}
    title = f"Exponents of 1/d, widths {ENDS[0]}-d-d-{ENDS[1]}, d = {', '.join(map(str, widths))}, uniform, ReLU"
    rules = [rule for rule in RULES if rule.alpha != ALPHAS[-1]]
    return laboratory(session, shapes, rules, title, layers=(0,), terms=((0,), (2,), (0, 2), (0, 1, 2)), told={}, lost=0.5)


def laboratory(
    session: Session,
    shapes: dict[int, tuple[int, ...]],
    rules: Sequence[AbstractPruningRule],
    title: str,
    *,
    layers: tuple[int, ...],
    terms: Sequence[Sequence[int]],
    told: dict[str, dict[float, float]],
    lost: float = 0.0,
) -> list[Check]:
    """``layers``: whose ||Delta|| is fitted; ``terms``: of the first-order gap; ``lost``: exponent of F itself."""
    points = [session.point(widths, rule, ASCENT, Spectral()) for widths in shapes.values() for rule in rules]
    tables, families = session.families(points, session.trials(TRIALS, least=8))
    checks, rows = [], []
    for rule in rules:
        found = [table for table in tables if table.point.rule == rule]
        family = next(f for f in families if points[f.points[0]].rule == rule)
        networks = [table.point.network for table in found]
        norm = f"||Delta_{layers[0] + 1}||" if len(layers) == 1 else "||Delta||"
        theirs = told.get(rule.name, {}).get(rule.alpha, "") if isinstance(rule.alpha, float) else ""
        for what, fit, allowed, known in (
            (norm, norm_fit(list(shapes), found, layers), norm_range(rule, networks, layer=layers[0]), theirs),
            ("gap, attained", attained_fit(family), gap_range(rule, networks, terms=terms, lost=lost), ""),
        ):
            checks.append(judged(f"{rule.name} {rule.alpha}, {family.pattern}, {what}", fit, allowed))
            claims = ["-" if value is None else f"{value:.2f}" for value in (family.sharp, family.theorem1, family.latala)]
            rows.append((rule.name, rule.alpha, what, *shown(fit), *claims, f"{allowed[0]:.3f} .. {allowed[1]:.3f}", known))
    show(title, COLUMNS, rows, notes=NOTES)
    return checks


def norm_fit(widths: Sequence[int], tables: Sequence[TrialTable], layers: tuple[int, ...]) -> ExponentFit:
    """Fit the exponent of ||Delta|| with the analysis's own functions; the layers' norms are independent."""
    samples: list[QuantileSample] = []
    for table in tables:
        sample = quantile_sample(np.sort(table["delta_norm"][:, layers].ravel()), 0.5, key=table.point.digest())
        assert isinstance(sample, QuantileSample)
        samples.append(sample)
    fit = fit_exponent(widths, samples)
    assert isinstance(fit, ExponentFit)
    return fit


def attained_fit(family: FamilySummary) -> ExponentFit:
    fit = next(f.fit for f in family.fits if f.side == "lower")
    assert isinstance(fit, ExponentFit)
    return fit


def shown(fit: ExponentFit) -> tuple[str, str]:
    return f"{fit.exponent:.3f}", f"{fit.interval.low:.3f} .. {fit.interval.high:.3f}"


def judged(what: str, fit: ExponentFit, allowed: Interval) -> Check:
    """Test by the normal approximation of the bootstrap that the exponent lies in the allowed range."""
    error = (fit.interval.high - fit.interval.low) / (2.0 * float(stats.norm.isf(0.5 * (1.0 - fit.interval.confidence))))
    return near(what, fit.exponent, error, allowance=allowed, df=math.inf)


def constant_fraction(session: Session) -> list[Check]:
    """A constant pruned fraction p: ||Delta|| -> (2 K / sqrt 3) p^(3/2) (magnitude), p^(1/2) (random); never 0.

    Fitted: mean ||Delta|| = c (1 + b1 d^(-2/3) + b2 / d), the orders of the edge and of the entries' fourth moments.
    """
    widths = session.widths(*WIDTHS)
    points = [session.point((d,) * 3, rule, Sampled(samples=1), Spectral()) for d in widths for rule in FRACTION_RULES]
    tables = session.rows(points, session.trials(TRIALS, least=8))
    checks, rows = [], []
    for rule in FRACTION_RULES:
        assert isinstance(rule.pruned_fraction, float)
        found = [table["delta_norm"].ravel() for table in tables if table.point.rule == rule]
        limit = 2.0 / math.sqrt(3.0) * rule.pruned_fraction ** (0.5 if rule.is_random else 1.5)
        value, error = extrapolated(widths, found)
        what = f"{rule.name}, fraction {rule.pruned_fraction}: limit of ||Delta|| / {limit:.5g} - 1"
        checks.append(near(what, value / limit - 1.0, error / limit, df=len(found[0]) - 1))
        at512 = f"{found[widths.index(512)].mean():.4f}" if 512 in widths else "-"
        theirs = published.CONSTANT_FRACTION[rule.name][rule.pruned_fraction]
        means = " ".join(f"{norms.mean() / limit:.4f}" for norms in found)
        rows.append((rule.name, rule.pruned_fraction, means, f"{value:.5f} +- {error:.5f}", f"{limit:.5f}", at512, theirs))
    spelled = ", ".join(map(str, widths))
    columns = ("rule", "p", f"mean / limit, d = {spelled}", "extrapolated", "limit", "d = 512", "prototype")
    show("Constant pruned fraction p: ||Delta|| does not vanish (uniform, square layers)", columns, rows)
    return checks


def extrapolated(widths: Sequence[int], samples: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return c and its standard error by weighted least squares (with two terms where there are few widths)."""
    d = np.asarray(widths, dtype=np.float64)
    terms = np.stack([np.ones_like(d), d ** (-2.0 / 3.0), 1.0 / d], axis=1)[:, : min(3, len(widths))]
    errors = np.array([norms.std(ddof=1) / math.sqrt(len(norms)) for norms in samples])
    means = np.array([norms.mean() for norms in samples])
    weighted = terms / errors[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted)
    return float((covariance @ weighted.T @ (means / errors))[0]), float(math.sqrt(covariance[0, 0]))
