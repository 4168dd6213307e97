"""From results to their summary: one pass over the points, one point's rows in memory at a time."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simprune.analysis.confidence import chosen_epsilons, gap_probability
from simprune.analysis.constants import fitted_constants
from simprune.analysis.estimates import CONFIDENCE, Refused
from simprune.analysis.exponents import ExponentLaboratory
from simprune.analysis.families import settings
from simprune.analysis.promises import PointPromise, Promises
from simprune.analysis.quantiles import quantile, upper_limit
from simprune.analysis.relative import RelativeGap, relative_gap
from simprune.analysis.summary import LayerSummary, PointSummary, Results, Summary
from simprune.analysis.thresholds import ThresholdTest, judged, threshold_law, threshold_tests
from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.records import Status, TrialTable

Doubles = npt.NDArray[np.float64]

COLUMNS = ("gap_lower", "gap_upper", "output_norm", "noise_floor", "status", "n_pruned", "threshold")
NORMS = ("target_norm", "pruned_norm", "delta_norm")
LEVELS = (0.05, 0.5, 0.95)
THRESHOLD_ERROR = 0.01
ERROR = 1.0 - CONFIDENCE


def summarize(
    results: Results,
    *,
    epsilons: Sequence[float] | None = None,
    delta: float | None = None,
    levels: Sequence[float] = LEVELS,
) -> Summary:
    """Return the analysis of all stored trials; ``epsilons`` and ``delta`` default to the design's."""
    asked = tuple(results.epsilons if epsilons is None else epsilons)
    tolerated = results.delta if delta is None else delta
    _check(asked, tolerated)
    ordered_levels = tuple(sorted(set(levels)))
    wanted = _epsilons(results, asked)
    laboratory = ExponentLaboratory(results.points, ordered_levels)
    promises = Promises(delta=tolerated)
    summaries: dict[int, PointSummary] = {}
    tests: dict[int, tuple[ThresholdTest, ...]] = {}
    for i in laboratory.reading_order():
        point = results.points[i]
        table = results.table(point, only=(*COLUMNS, *NORMS))
        lower, upper = _ordered(table)
        laboratory.add(i, lower, upper)
        tests[i] = threshold_tests(point, table["threshold"], index=i)
        relative = relative_gap(table, trained=results.trained(point), levels=ordered_levels, error=ERROR)
        summaries[i] = _point(
            table,
            lower,
            upper,
            relative=relative,
            promise=promises.of(table, lower, upper, epsilons=wanted[i]),
            epsilons=wanted[i],
            delta=tolerated,
            levels=ordered_levels,
        )
    points = tuple(summaries[i] for i in range(len(results.points)))
    exponents = laboratory.summaries()
    return Summary(
        name=results.name,
        trials=results.trials,
        confidence=CONFIDENCE,
        levels=ordered_levels,
        delta=tolerated,
        epsilons_from_data=not asked,
        points=points,
        exponents=exponents,
        constants=fitted_constants(exponents, points, delta=tolerated),
        thresholds=judged([test for i in range(len(points)) for test in tests[i]], error=THRESHOLD_ERROR),
        threshold_error=THRESHOLD_ERROR,
        no_thresholds=_untested(results.points),
        failed_trials=sum(failure.stop - failure.first for failure in results.failed),
        problems=tuple(f"{name}: {reason}" for name, reason in results.problems.items()),
        stops=results.stops,
    )


def _check(epsilons: tuple[float, ...], delta: float) -> None:
    for epsilon in epsilons:
        if not 0.0 <= epsilon < float("inf"):
            raise InputError(f"epsilon must be at least 0 and finite, got {epsilon}; it is a bound on the gap")
    if not 0.0 < delta < 1.0:
        raise InputError(f"delta must lie in (0, 1), got {delta}; it is the tolerated probability of a gap above epsilon")


def _ordered(table: TrialTable) -> tuple[Doubles, Doubles]:
    certified = (table["status"] & int(Status.NOT_CERTIFIED)) == 0
    return np.sort(table["gap_lower"]), np.sort(table["gap_upper"][certified])


def _epsilons(results: Results, asked: tuple[float, ...]) -> list[tuple[float, ...]]:
    if asked:
        return [asked] * len(results.points)
    chosen: list[tuple[float, ...]] = [()] * len(results.points)
    for group in settings(results.points):
        gaps = [results.table(results.points[i], only=["gap_lower"])["gap_lower"] for i in group]
        values = chosen_epsilons([float(np.median(gap)) for gap in gaps if len(gap)])
        for i in group:
            chosen[i] = values
    return chosen


def _point(
    table: TrialTable,
    lower: Doubles,
    upper: Doubles,
    *,
    relative: RelativeGap | Refused,
    promise: PointPromise | Refused,
    epsilons: tuple[float, ...],
    delta: float,
    levels: tuple[float, ...],
) -> PointSummary:
    point = table.point
    none = Refused(reason="no row is certified; add the spectral estimator")
    return PointSummary(
        point=point,
        digest=point.digest(),
        layers=_layers(table),
        trials=len(lower),
        below_noise=int(np.count_nonzero(table["status"] & int(Status.BELOW_NOISE))),
        noise_floor=float(table["noise_floor"].max()) if len(lower) else None,
        certified=len(upper),
        count_errors=_count_errors(table),
        lower=tuple(quantile(lower, level, error=ERROR) for level in levels),
        upper=tuple(quantile(upper, level, error=ERROR) for level in levels) if len(upper) else none,
        upper_limit=upper_limit(upper, 1.0 - delta, error=ERROR) if len(upper) else none,
        probabilities=tuple(gap_probability(lower, upper, epsilon=e, delta=delta, error=ERROR) for e in epsilons),
        relative=relative,
        promise=promise,
    )


def _layers(table: TrialTable) -> tuple[LayerSummary, ...]:
    point, counts = table.point, table["n_pruned"]
    pruned = counts.mean(axis=0).tolist() if len(counts) and not point.rule.exact_count else point.n_pruned
    return tuple(
        LayerSummary(n_weights=n, n_pruned=k, pruned_fraction=k / n, kept_fraction=1.0 - k / n)
        for n, k in zip(point.network.n_weights, pruned, strict=True)
    )


def _count_errors(table: TrialTable) -> int:
    if not table.point.rule.exact_count:
        return 0
    return int(np.count_nonzero((table["n_pruned"] != np.array(table.point.n_pruned)).any(axis=1)))


def _untested(points: Sequence[Point]) -> tuple[str, ...]:
    reasons = {law for p in points for layer in range(p.network.depth) if isinstance(law := threshold_law(p, layer), str)}
    return tuple(sorted(reasons))
