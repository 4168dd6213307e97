"""The comparison as plain text."""

from collections.abc import Callable

from simprune.analysis.comparison import Comparison, PairComparison, Shift
from simprune.analysis.confidence import Proportion
from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.layout import paragraph, section, table
from simprune.analysis.quantiles import QuantileEstimate
from simprune.analysis.report_gaps import Row
from simprune.analysis.wording import estimate, facts, interval, number, quantile_name
from simprune.design.point import Point

_OF_THE_LABEL = ("widths", "depth")


def render_comparison(comparison: Comparison) -> str:
    """Return the tables of a comparison, at most 110 columns wide, without colours."""
    return "\n\n".join([_head(comparison), _smaller(comparison), _differences(comparison), _shifts(comparison)]) + "\n"


def _head(comparison: Comparison) -> str:
    same = comparison.name_a == comparison.name_b
    a, b = comparison.name_a[:40], comparison.name_b[:40]
    of = f'points of "{a}"' if same else f'"{a}" (A) and "{b}" (B)'
    title = f"Comparison of {of}"
    told = [facts(point) for pair in comparison.pairs for point in (pair.a, pair.b)]
    shared = ", ".join(v for key, v in told[0].items() if len({t[key] for t in told}) == 1 and key not in _OF_THE_LABEL)
    explained = (
        f"All points: {shared}. Trials are paired: trial i of A and of B prune the same target network. Intervals hold with "
        f"probability {comparison.confidence:g} each (pointwise)."
    )
    return "\n".join([title, "=" * len(title), paragraph(explained)])


def _groups(comparison: Comparison, cells: Callable[[PairComparison], list[Row]]) -> list[tuple[str, list[Row]]]:
    points = [point for pair in comparison.pairs for point in (pair.a, pair.b)]
    varying = [key for key in facts(points[0]) if len({facts(p)[key] for p in points}) > 1 and key not in _OF_THE_LABEL]
    groups: dict[str, list[Row]] = {}
    for pair in comparison.pairs:
        rows = groups.setdefault(f"A: {_described(pair.a, varying)}\nB: {_described(pair.b, varying)}", [])
        rows.extend([facts(pair.a)["widths"] if n == 0 else "", *row] for n, row in enumerate(cells(pair)))
    return list(groups.items())


def _described(point: Point, keys: list[str]) -> str:
    told = facts(point)
    return ", ".join(told[key] for key in keys)


def _smaller(comparison: Comparison) -> str:
    columns = ["widths", "pairs", "certified", "surely [interval]", "attained [interval]", "possibly [interval]", "claim"]

    def cells(pair: PairComparison) -> list[Row]:
        s = pair.smaller
        shares = [_share(p) for p in (s.surely, s.attained, s.possibly)]
        return [[str(pair.pairs), str(pair.certified), *shares, s.claim]]

    explained = (
        "The share of trials in which the gap of A is smaller, Clopper-Pearson. Surely: the certified value of A lies below "
        "the attained value of B, so the true probability is at least this (trials certified for A). Possibly: all but "
        "those decided for B, so it is at most this (trials certified for B). Attained: by attained values, a bound on "
        "neither side. Certified: for both. Claim: whose gap is smaller more often than not, interval included."
    )
    return section("1. P(gap of A < gap of B)", explained, table(columns, _groups(comparison, cells)))


def _share(p: Proportion) -> str:
    if not isinstance(p.interval, Interval) or p.value is None:
        return "no rows"
    return f"{p.value:.3f} [{p.interval.low:.3f}, {p.interval.high:.3f}]"


def _differences(comparison: Comparison) -> str:
    middle = min(range(len(comparison.levels)), key=lambda i: abs(comparison.levels[i] - 0.5))
    columns = ["widths", "at least [interval]", "attained [interval]", "at most [interval]"]

    def cells(pair: PairComparison) -> list[Row]:
        found = pair.differences
        return [[_of(found.least, middle), _of(found.attained, middle), _of(found.most, middle)]]

    explained = (
        f"The {quantile_name(comparison.levels[middle])} over trials of gap of B minus gap of A, with exact intervals from "
        "order statistics. It lies between: at least (attained B minus certified A) and at most (certified B minus attained "
        "A), each over the trials certified for that. Attained: of attained values, over all trials."
    )
    return section("2. Differences, B - A", explained, table(columns, _groups(comparison, cells)))


def _of(values: tuple[QuantileEstimate, ...] | Refused, i: int) -> str:
    return "none" if isinstance(values, Refused) else estimate(values[i])


def _shifts(comparison: Comparison) -> str:
    columns = ["widths", "quantile", "A", "B", "B - A [interval]", "correlation"]

    def cells(pair: PairComparison) -> list[Row]:
        return [_shift(found) for found in pair.shifts]

    explained = (
        "Quantiles of A and of B and their difference. Intervals: order-statistic intervals of both, combined with the "
        "correlation that pairing gives the two quantiles (MOVER); approximate."
    )
    return section("3. Shifts of quantiles", explained, table(columns, _groups(comparison, cells)))


def _shift(found: Shift) -> Row:
    name = f"{quantile_name(found.level)}, {'attained' if found.side == 'lower' else 'certified'}"
    moved = f"{number(found.shift)} {interval(found.interval)}"
    return [name, number(found.a), number(found.b), moved, f"{found.correlation:.2f}"]
