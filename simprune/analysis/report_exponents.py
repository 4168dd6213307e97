"""The report's table of fitted exponents beside the theory's."""

from simprune.analysis.estimates import Refused
from simprune.analysis.layout import arrange, section, table
from simprune.analysis.report_gaps import shown_levels
from simprune.analysis.scaling import ExponentFit
from simprune.analysis.summary import FamilySummary, LevelFit, Summary
from simprune.analysis.wording import quantile_name


def exponents_section(summary: Summary) -> str:
    """Return the fitted exponents of 1/d with Theorem 1's, the sharp ones and a comment."""
    title = "6. Exponents: gap ~ d^(-exponent)"
    if not summary.exponents:
        return section(title, "No two points differ in width alone, so no exponent can be fitted.")
    explained = (
        "Least squares of log quantile on log d over points that differ in width alone. Intervals: bootstrap over the "
        "trials, pointwise; they do not cover the distance of these widths from the limit, which the local exponents "
        "(between neighbouring widths) show. Theorem 1 (magnitude, uniform weights) asks for an exponent of at least its "
        "alpha; sharp: matched by bounds from both sides up to logarithms. Last column: inside or outside the interval."
    )
    columns = ["quantile of the gap", "fitted [interval]", "local", "Theorem 1", "sharp", "Latala", "fit - sharp"]
    groups = [_family(summary, family) for family in summary.exponents]
    return section(title, explained, table(columns, groups, label_width=30))


def _family(summary: Summary, family: FamilySummary) -> tuple[str, list[list[str]]]:
    told = summary_headings(summary)[family.points[0]]
    sizes = ", ".join(str(d) for d in family.widths)
    heading = f"{told}: " if told else ""
    heading += f"widths {family.pattern}, d = {sizes}\n   ({family.regime})"
    levels = [summary.levels[i] for i in shown_levels(summary)]
    wanted = [fit for fit in family.fits if fit.level in levels]
    certified = [fit for fit in wanted if fit.side == "upper" and isinstance(fit.fit, ExponentFit)][:1]
    rows = [_row(family, fit, told=n == 0) for n, fit in enumerate([f for f in wanted if f.side == "lower"] + certified)]
    return heading, rows


def _row(family: FamilySummary, level: LevelFit, *, told: bool) -> list[str]:
    name = f"{quantile_name(level.level)}, {'attained' if level.side == 'lower' else 'certified'}"
    theory = [_known(value) if told else "" for value in (family.theorem1, family.sharp, family.latala)]
    if isinstance(level.fit, Refused):
        needed = f"needs {level.fit.needed} rows" if level.fit.needed else "none"
        return [name, needed, "", *theory, ""]
    fit = level.fit
    fitted = f"{fit.exponent:.3f} [{fit.interval.low:.3f}, {fit.interval.high:.3f}]"
    return [name, fitted, _local(fit), *theory, _verdict(family, fit)]


def _local(fit: ExponentFit) -> str:
    if len(fit.local) > 3:
        return f"{fit.local[0]:.2f} .. {fit.local[-1]:.2f}"
    return " ".join(f"{slope:.2f}" for slope in fit.local)


def _verdict(family: FamilySummary, fit: ExponentFit) -> str:
    if family.theorem1 is not None and fit.interval.high < family.theorem1:
        return "BELOW Theorem 1"
    if family.sharp is None:
        return ""
    place = "inside" if fit.interval.contains(family.sharp) else "outside"
    return f"{fit.exponent - family.sharp:+.3f} {place}"


def summary_headings(summary: Summary) -> dict[int, str]:
    """Return the heading that each point stands under."""
    arrangement = arrange([p.point for p in summary.points])
    return {i: group.heading for group in arrangement.groups for i, _ in group.rows}


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
