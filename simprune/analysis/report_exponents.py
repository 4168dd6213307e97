"""The report's tables over several points: fitted exponents beside the theory's, and thresholds against the Beta law."""

from simprune.analysis.estimates import Refused
from simprune.analysis.layout import arrange, table
from simprune.analysis.report_gaps import section, shown_levels
from simprune.analysis.scaling import ExponentFit
from simprune.analysis.summary import FamilySummary, LevelFit, Summary
from simprune.analysis.thresholds import ThresholdTest
from simprune.analysis.wording import quantile_name


def exponents_section(summary: Summary) -> str:
    """Return the fitted exponents of 1/d with Theorem 1's, the sharp ones and a comment."""
    title = "6. Exponents: gap ~ d^(-exponent)"
    if not summary.exponents:
        return section(title, "No two points differ in width alone, so no exponent can be fitted.", "").rstrip()
    explained = (
        "Least squares of log quantile on log d over points that differ in width alone. Intervals: bootstrap over the trials, "
        "pointwise; they do not cover the distance of these widths from the limit, which the local exponents (between "
        "neighbouring widths) show. Theorem 1 (magnitude, uniform weights) is valid if the truth is at least its alpha; "
        "sharp: matched by bounds from both sides up to logarithms."
    )
    columns = ["quantile of the gap", "fitted [interval]", "local", "Theorem 1", "sharp", "Latala", "fit against sharp"]
    return section(title, explained, table(columns, [_family(summary, family) for family in summary.exponents]))


def _family(summary: Summary, family: FamilySummary) -> tuple[str, list[list[str]]]:
    told = _headings(summary)[family.points[0]]
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
    if fit.interval.contains(family.sharp):
        return "sharp inside"
    return f"sharp {fit.exponent - family.sharp:+.3f}"


def _headings(summary: Summary) -> dict[int, str]:
    arrangement = arrange([p.point for p in summary.points])
    return {i: group.heading for group in arrangement.groups for i, _ in group.rows}


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def thresholds_section(summary: Summary) -> str:
    """Return the Kolmogorov-Smirnov tests of the thresholds, one row a point, the most suspicious layer shown."""
    title = "7. Order statistics: threshold |W|_(k+1) against its exact law, H(T) ~ Beta(k+1, D-k)"
    skipped = f"Not tested: {'; '.join(summary.no_thresholds)}." if summary.no_thresholds else ""
    if not summary.thresholds:
        return section(title, skipped or "No rows to test.", "").rstrip()
    rejected = sum(test.rejected for test in summary.thresholds)
    n_tests = len(summary.thresholds)
    explained = (
        f"Kolmogorov-Smirnov, simultaneous over all {n_tests} tests (points x layers) by Holm's method: if the law holds, the "
        f"chance of any rejection is at most {summary.threshold_error:g}. Points on the same network share their targets, so "
        "tests of different alphas are dependent; Holm's method allows that. Rounding and the 2^31 or 2^53 grid of random "
        f"keys are allowed for. Each row shows the layer with the smallest p-value. {skipped}"
    ).rstrip()
    columns = ["widths", "layer", "rows", "mean / expected", "KS statistic", "p", "Holm p", "verdict"]
    verdict = f"Verdict: {rejected} of {n_tests} rejected" + (
        ": the order statistics do NOT follow the law." if rejected else "."
    )
    return section(title, explained, table(columns, _threshold_rows(summary)) + f"\n\n{verdict}")


def _threshold_rows(summary: Summary) -> list[tuple[str, list[list[str]]]]:
    worst: dict[int, ThresholdTest] = {}
    for test in summary.thresholds:
        if test.point not in worst or test.p_value < worst[test.point].p_value:
            worst[test.point] = test
    arrangement = arrange([p.point for p in summary.points])
    return [
        (group.heading, [_threshold_row(worst[i], label) for i, label in group.rows if i in worst])
        for group in arrangement.groups
    ]


def _threshold_row(test: ThresholdTest, label: str) -> list[str]:
    ratio = f"{test.mean / test.expected_mean:.4f}"
    told = "rejected" if test.rejected else "agrees"
    return [
        label,
        str(test.layer + 1),
        str(test.n_rows),
        ratio,
        f"{test.statistic:.4f}",
        _p(test.p_value),
        _p(test.adjusted),
        told,
    ]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
