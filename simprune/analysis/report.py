"""The report: a summary as plain text that a researcher reads at once."""

from simprune.analysis.layout import Arrangement, arrange, paragraph
from simprune.analysis.report_exponents import exponents_section
from simprune.analysis.report_gaps import gap_sections, points_section, probability_section, relative_section
from simprune.analysis.report_promises import promises_section
from simprune.analysis.report_short import short_section
from simprune.analysis.report_stopping import stopping_section
from simprune.analysis.report_tails import tails_section
from simprune.analysis.report_thresholds import thresholds_section
from simprune.analysis.summary import Summary


def render(summary: Summary, *, bands: bool = False) -> str:
    """Return the report, at most 110 columns wide, without colours; ``bands`` adds simultaneous intervals."""
    arrangement = arrange([point.point for point in summary.points])
    computed = any(point.trials for point in summary.points)
    sections = [_head(summary, arrangement), short_section(summary) if computed else ""]
    sections.append(points_section(summary, arrangement))
    if computed:
        sections += gap_sections(summary, arrangement, bands=bands)
        sections.append(probability_section(summary, arrangement, bands=bands))
        sections += [relative_section(summary, arrangement), exponents_section(summary), thresholds_section(summary)]
        sections += [promises_section(summary, arrangement), tails_section(summary, arrangement)]
        sections.append(stopping_section(summary, arrangement))
    sections.append(_notes(summary))
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(summary: Summary, arrangement: Arrangement) -> str:
    done = sum(point.trials for point in summary.points)
    title = f'Analysis of "{summary.name[:80]}"'
    counted = f"{len(summary.points)} points, {done} of {summary.trials * len(summary.points)} trials."
    failed = f" {summary.failed_trials} trials failed." if summary.failed_trials else ""
    reading = (
        "The gap of a trial is sup ||f(x) - F(x)|| over the unit ball, f the pruned network and F its target. It lies "
        "between an attained lower value (a concrete input) and a certified upper value. Intervals in brackets hold with "
        f"probability {summary.confidence:g} each (pointwise) unless a table says simultaneous."
    )
    lines = [title, "=" * len(title), paragraph(f"{counted}{failed} All points: {arrangement.shared}."), paragraph(reading)]
    return "\n".join(lines)


def _notes(summary: Summary) -> str:
    notes = []
    if any(p.point.rule.pruned_fraction for p in summary.points):
        notes.append(
            "A constant pruned fraction: the gap does NOT vanish as the width grows; the theory is about a pruned fraction "
            "D^(-alpha) that falls with the layer's number of weights D."
        )
    if any(p.point.network.activation.value_at_zero and p.point.network.depth > 1 for p in summary.points):
        notes.append(
            "s(0) != 0: hidden vectors do not vanish at x = 0, and with all widths growing the gap there is sqrt(d) larger "
            "(magnitude: it GROWS for alpha < 1/6). Theorem 1 cannot hold there with constants independent of d."
        )
    if any(p.point.rule.alpha for p in summary.points):
        notes.append("A larger alpha is MILDER pruning: floor(D^(1 - alpha)) weights of a layer go.")
    if any(p.point.network.distribution is None for p in summary.points):
        notes.append(
            "A trained target is one fixed network: probabilities and quantiles are over random masks and random starts. "
            "Magnitude pruning of it has one true gap; the spread of its attained values is that of the search alone."
        )
    if any(p.point.rule.whole_rows for p in summary.points):
        notes.append("Whole filters or neurons go: a pruned one does not shrink as the width grows, and no rate is claimed.")
    if any(p.point.network.chain is not None for p in summary.points):
        notes.append(
            "Convolutions: widths are numbers of channels; bounds are this project's own, and no exponent is claimed."
        )
    for p in summary.points:
        if p.count_errors:
            notes.append(f"ERROR: {p.count_errors} rows of point {p.digest[:12]} do not hold the demanded n_pruned.")
    notes += [f"Unreadable: {problem}" for problem in summary.problems]
    return "\n".join(["Notes", "-----", *(paragraph(note, bullet="* ") for note in notes)]) if notes else ""
