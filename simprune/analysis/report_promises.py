"""The report's tables of what the theory promises: bounds beside quantiles, and the ledger of looseness."""

from collections.abc import Callable

from simprune.analysis.confidence import Proportion
from simprune.analysis.estimates import Refused
from simprune.analysis.layout import Arrangement, section, table
from simprune.analysis.promises import PointPromise, WidthAsked
from simprune.analysis.report_exponents import summary_headings
from simprune.analysis.report_gaps import Row, point_rows
from simprune.analysis.summary import PointSummary, Summary
from simprune.analysis.wording import number

EPSILONS = 2


def promises_section(summary: Summary, arrangement: Arrangement) -> str:
    """Return both tables, or why there are none."""
    title = "8. What the theory promises"
    if all(isinstance(point.promise, Refused) for point in summary.points):
        return section(title, "Nothing: the weights are fixed, and the theory is about random ones.")
    bounds = _bounds(summary, arrangement)
    ledger = table(
        [
            arrangement.label,
            "activation",
            "layer product",
            "norms",
            "union bound",
            "= bound / attained",
            "closed form / bound",
        ],
        point_rows(summary, arrangement, _told(_ledger_row, 6)),
    )
    level = f"{1 - summary.delta:g}"
    explained = (
        f"Quantiles of level {level} of the attained gap, of the certified gap, and of the plain product of the sample's "
        f"norms (intervals of the first two: tables 2 and 3); then what holds with probability {level} before anything is "
        "sampled: the a-priori bound and its closed form, with constants proved in this project (the paper publishes none; "
        "none of them is fitted). Over: certified gaps above the a-priori bound; promised is a share of at most "
        f"{summary.delta:g}. d*(epsilon): least width that promises gap <= epsilon (> where none is found up to 2^34). "
        "Vacuous: no less than what bounds the distance of any two such networks."
    )
    second = (
        "Where the looseness of the a-priori bound comes from, as factors: activation (|s(a) - s(b)| <= K |a - b|, and what "
        "the search misses), layer product (of norms; 3 linear networks of the same law), norms (bound over sample), union "
        'bound (shares of delta). "-": not known (layers above 2^16 weights, or no certified rows).'
    )
    sections = [section(title, explained, bounds), section("Looseness ledger", second, ledger)]
    return "\n\n".join([*sections, *_constants(summary)])


def _constants(summary: Summary) -> list[str]:
    if not summary.constants:
        return []
    explained = (
        "FITTED to these rows; proves nothing and says nothing about other widths. Theorem 1 asks for widths of at least "
        "(C2 / epsilon)^(1/alpha), among other terms; its source publishes no constants. The least C2 that these widths "
        f"allow with the other terms at 0 is the largest d^alpha times the {1 - summary.delta:g} quantile: at least "
        "(attained gaps), at most (certified ones). The smallest width decides it if the gap falls faster than d^(-alpha)."
    )
    headings = summary_headings(summary)
    groups = [
        (headings[c.points[0]], [[f"d = {c.widths[0]} .. {c.widths[-1]}", number(c.lower), number(c.upper)]])
        for c in summary.constants
    ]
    return [section("Constant C2 of Theorem 1, fitted", explained, table(["widths", "at least", "at most"], groups))]


def _bounds(summary: Summary, arrangement: Arrangement) -> str:
    promises = [point.promise for point in summary.points if isinstance(point.promise, PointPromise)]
    shown = min(EPSILONS, max(len(promise.widths) for promise in promises))
    alike = {tuple(asked.epsilon for asked in promise.widths[:shown]) for promise in promises}
    one = len(alike) == 1
    names = [f"d*({e:g})" for e in next(iter(alike))] if one else [f"d*({i + 1}.)" for i in range(shown)]

    def cells(promise: PointPromise) -> list[Row]:
        values = [promise.attained, promise.certified, promise.product]
        told = [number(v.value if v else None) for v in values]
        bound = number(promise.bound) + (" vacuous" if promise.vacuous else "")
        widths = [_width(asked, named=not one) for asked in promise.widths[:shown]]
        widths += ["-"] * (shown - len(widths))
        return [[*told, bound, number(promise.closed_form), _over(promise.exceeded), *widths]]

    columns = [arrangement.label, "attained", "certified", "product", "a priori", "closed form", "over", *names]
    return table(columns, point_rows(summary, arrangement, _told(cells, len(columns) - 1)))


def _told(cells: Callable[[PointPromise], list[Row]], n_columns: int) -> Callable[[PointSummary], list[Row]]:
    def told(point: PointSummary) -> list[Row]:
        return [["-"] * n_columns] if isinstance(point.promise, Refused) else cells(point.promise)

    return told


def _ledger_row(promise: PointPromise) -> list[Row]:
    ledger, attained = promise.ledger, promise.attained.value
    factors = (ledger.activation, ledger.product, ledger.norms, ledger.union)
    whole = promise.bound / attained if attained else None
    return [[*(number(f, 3) for f in factors), number(whole, 3), number(ledger.closed_form, 3)]]


def _over(exceeded: Proportion) -> str:
    return f"{exceeded.successes}/{exceeded.n_rows}"


def _width(asked: WidthAsked, *, named: bool) -> str:
    found = asked.minimal
    text = "> 2^34" if found.width is None else str(found.width) if found.width < 10**6 else f"{found.width:.2g}"
    return f"{text} ({asked.epsilon:g})" if named else text
