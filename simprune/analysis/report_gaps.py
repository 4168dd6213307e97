"""The report's tables of single points: what was pruned, the gap from both sides, P(gap <= epsilon), relative gaps."""

from collections.abc import Callable, Sequence

from simprune.analysis.confidence import GapProbability, Proportion
from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.layout import Arrangement, section, table
from simprune.analysis.quantiles import QuantileEstimate
from simprune.analysis.summary import PointSummary, Summary
from simprune.analysis.wording import estimate, interval, number, percent, quantile_name

Row = Sequence[str]


def point_rows(
    summary: Summary, arrangement: Arrangement, cells: Callable[[PointSummary], list[Row]]
) -> list[tuple[str, list[Row]]]:
    """Return the rows of a table over points, grouped under the arrangement's headings."""
    groups = []
    for group in arrangement.groups:
        rows: list[Row] = []
        for i, label in group.rows:
            for n, row in enumerate(cells(summary.points[i])):
                rows.append([label if n == 0 else "", *row])
        groups.append((group.heading, rows))
    return groups


def points_section(summary: Summary, arrangement: Arrangement) -> str:
    """Return the table of what was pruned and how many trials stand."""
    columns = [arrangement.label, "pruned weights a layer", "pruned", "kept", "trials", "of", "certified", "below noise"]

    def cells(point: PointSummary) -> list[Row]:
        counts = [f"{layer.n_pruned:.0f}" if layer.n_pruned >= 1 else number(layer.n_pruned, 2) for layer in point.layers]
        total = sum(layer.n_weights for layer in point.layers)
        fraction = sum(layer.n_pruned for layer in point.layers) / total
        done = [str(point.trials), str(summary.trials), str(point.certified), str(point.below_noise)]
        return [[_runs(counts), percent(fraction), percent(1.0 - fraction), *done]]

    explained = (
        "Shares of all weights of the network that are set to zero (pruned) and that stay (kept). "
        "Below noise: rows whose attained gap is smaller than its own rounding error; they count as gap 0 from below."
    )
    return section("1. Points", explained, table(columns, point_rows(summary, arrangement, cells)))


def _runs(counts: list[str]) -> str:
    if len(set(counts)) == 1:
        return counts[0]
    text = ", ".join(counts)
    return text if len(text) <= 26 else f"{counts[0]}, ..., {counts[-1]}"


def shown_levels(summary: Summary) -> list[int]:
    """Return the positions of the two levels the report shows: the median (or the middle one) and the highest."""
    middle = min(range(len(summary.levels)), key=lambda i: abs(summary.levels[i] - 0.5))
    return sorted({middle, len(summary.levels) - 1})


def gap_sections(summary: Summary, arrangement: Arrangement, *, bands: bool = False) -> list[str]:
    """Return the tables of quantiles of the attained and of the certified gap; ``bands`` adds the simultaneous intervals."""
    shown = shown_levels(summary)
    names = [f"{quantile_name(summary.levels[i])} [interval]" for i in shown]

    def attained(point: PointSummary) -> list[Row]:
        rows: list[Row] = [[estimate(point.lower[i]) for i in shown]]
        return rows + ([[_band(point.lower[i].band) for i in shown]] if bands else [])

    def certified(point: PointSummary) -> list[Row]:
        if isinstance(point.upper, Refused):
            return [["none" for _ in shown] + ["none", "0"]]
        rows: list[Row] = [[*(estimate(point.upper[i]) for i in shown), _limit(point.upper_limit), str(point.certified)]]
        return rows + ([[*(_band(point.upper[i].band) for i in shown), "", ""]] if bands else [])

    lower_text = "The true gap is at least these. Intervals: distribution-free, from order statistics; two-sided, pointwise."
    upper_text = (
        "The true gap is at most these (only certified rows; the product of layer norms is loose for deep networks). "
        f"Limit: exceeds the {1 - summary.delta:g} quantile of the gap with probability {summary.confidence:g} (one-sided)."
    )
    if bands:
        lower_text, upper_text = f"{lower_text} {_bands_text(summary)}", f"{upper_text} {_bands_text(summary)}"
    limit = f"limit ({1 - summary.delta:g})"
    first = table([arrangement.label, *names], point_rows(summary, arrangement, attained))
    second = table([arrangement.label, *names, limit, "rows"], point_rows(summary, arrangement, certified))
    if all(point.certified == 0 for point in summary.points):
        second = "  No row is certified: add the spectral estimator to the design for upper values."
    return [
        section("2. Gap, attained (lower values)", lower_text, first),
        section("3. Gap, certified (upper values)", upper_text, second),
    ]


def _band(value: Interval | Refused) -> str:
    return f"all levels {interval(value)}"


def _bands_text(summary: Summary) -> str:
    return (
        f"All levels: simultaneous, every level of one row's column at once with probability {summary.confidence:g} "
        "(Dvoretzky-Kiefer-Wolfowitz, Massart's constant)."
    )


def _limit(value: float | Refused) -> str:
    return f"needs {value.needed}" if isinstance(value, Refused) else number(value)


def probability_section(summary: Summary, arrangement: Arrangement, *, bands: bool = False) -> str:
    """Return the table of P(gap <= epsilon) from both sides; ``bands`` adds the simultaneous intervals."""
    columns = [
        arrangement.label,
        "epsilon",
        "optimistic (lower values)",
        "pessimistic (upper values)",
        f">= {1 - summary.delta:g}?",
    ]

    def cells(point: PointSummary) -> list[Row]:
        return [row for p in point.probabilities for row in _probability(p, bands=bands)]

    explained = (
        "The true probability lies between the pessimistic and the optimistic one. Intervals: Clopper-Pearson, two-sided, "
        f"pointwise. Last column: is P(gap <= epsilon) at least 1 - delta = {1 - summary.delta:g}? It holds if the whole "
        "pessimistic interval says so, fails if the whole optimistic interval denies it, and is open otherwise."
    )
    if bands:
        explained += " All: simultaneous, every epsilon of one row's column at once (Dvoretzky-Kiefer-Wolfowitz, Massart)."
    if summary.epsilons_from_data:
        explained += " The epsilons were chosen from these data (none was given), so the intervals are descriptive only."
    return section("4. P(gap <= epsilon)", explained, table(columns, point_rows(summary, arrangement, cells)))


def _probability(p: GapProbability, *, bands: bool) -> list[Row]:
    rows: list[Row] = [[f"{p.epsilon:g}", _share(p.optimistic), _share(p.pessimistic), p.claim]]
    if bands:
        rows.append(["", *(f"all {_probabilities(side.band)}" for side in (p.optimistic, p.pessimistic)), ""])
    return rows


def _share(p: Proportion) -> str:
    if p.value is None:
        return "no rows"
    return f"{p.value:.3f} {_probabilities(p.interval)}"


def _probabilities(found: Interval | Refused) -> str:
    return interval(found) if isinstance(found, Refused) else f"[{found.low:.3f}, {found.high:.3f}]"


def relative_section(summary: Summary, arrangement: Arrangement) -> str:
    """Return the table of gaps relative to sup ||F||."""
    middle = shown_levels(summary)[0]
    name = quantile_name(summary.levels[middle])
    columns = [arrangement.label, "certified lower", "attained / attained norm", "certified upper"]

    def cells(point: PointSummary) -> list[Row]:
        relative = point.relative
        if isinstance(relative, Refused):
            return [["-", "-", "-"]]
        return [[_side(relative.lower, middle), estimate(relative.attained[middle], 3), _side(relative.upper, middle)]]

    explained = (
        f"The {name} of gap / sup ||F||, with its pointwise interval. Lower: attained gap over a certified bound of "
        "sup ||F||. Upper: certified gap over the attained output norm. Between: attained gap relative to the attained "
        "output norm, an estimate that is a bound on neither side."
    )
    return section("5. Relative gap", explained, table(columns, point_rows(summary, arrangement, cells)))


def _side(values: tuple[QuantileEstimate, ...] | Refused, i: int) -> str:
    return "none" if isinstance(values, Refused) else estimate(values[i], 3)
