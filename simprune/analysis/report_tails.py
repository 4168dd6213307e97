"""The report's table of extrapolated quantiles."""

from simprune.analysis.estimates import Refused
from simprune.analysis.layout import Arrangement, paragraph, section, table
from simprune.analysis.report_gaps import Row, point_rows
from simprune.analysis.summary import PointSummary, Summary
from simprune.analysis.tails import Tail
from simprune.analysis.wording import estimate, interval, number


def tails_section(summary: Summary, arrangement: Arrangement) -> str:
    """Return the table of tails, or nothing if none was asked for."""
    if not any(point.tails for point in summary.points):
        return ""
    reasons: dict[str, str] = {}
    columns = [arrangement.label, "delta", "side", "EXTRAPOLATED [interval]", "counted [interval]", "shape", "over", "p"]

    def cells(point: PointSummary) -> list[Row]:
        sides = [(tail.delta, name, found) for tail in point.tails for name, found in _sides(tail.lower, tail.upper)]
        return [_row(delta, name, found, reasons) for delta, name, found in sides]

    body = table(columns, point_rows(summary, arrangement, cells))
    refused = [paragraph(f"({mark}) {reason}.", "  ") for reason, mark in reasons.items()]
    explained = (
        "Quantiles of level 1 - delta from a generalised Pareto law fitted to the values over a threshold. EXTRAPOLATED: "
        "the rows cannot prove that the law goes on beyond them. Interval: profile likelihood, pointwise; in simulations of "
        f"smooth laws a nominal {100 * summary.confidence:g} % covered in 86 to 98 %, most misses lying above it. Counted: "
        "by order statistics, where the rows allow it. Over: values over the threshold. p: Anderson-Darling, by parametric "
        "bootstrap; taken is the lowest threshold with p >= 0.1 and a shape within 3 standard errors of those above it."
    )
    return section("9. Tails (extrapolated)", explained, "\n".join([body, *([""] if refused else []), *refused]))


def _sides(lower: Tail | Refused, upper: Tail | Refused) -> tuple[tuple[str, Tail | Refused], ...]:
    return (("attained", lower), ("certified", upper))


def _row(delta: float, side: str, found: Tail | Refused, reasons: dict[str, str]) -> Row:
    if isinstance(found, Refused):
        needed = f"; {found.needed} would be enough" if found.needed else ""
        mark = reasons.setdefault(f"{found.reason}{needed}", str(len(reasons) + 1))
        return [f"{delta:g}", side, f"refused ({mark})", "", "", "", ""]
    value = f"{number(found.value)} {interval(found.interval)}"
    shape = f"{found.fit.shape:+.2f}"
    over = str(found.fit.exceedances)
    enough = not isinstance(found.counted.interval, Refused)
    counted = estimate(found.counted, 3) if enough else interval(found.counted.interval)
    return [f"{delta:g}", side, value, counted, shape, over, f"{found.anderson_darling_p:.2f}"]
