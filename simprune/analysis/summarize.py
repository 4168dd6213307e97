"""From results to their summary: point by point, of which few rows or some order statistics are in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from simprune.analysis.confidence import chosen_epsilons, gap_probability
from simprune.analysis.constants import fitted_constants
from simprune.analysis.estimates import CONFIDENCE, Refused
from simprune.analysis.exponents import ExponentLaboratory, Samples
from simprune.analysis.families import settings
from simprune.analysis.ordered import Ordered, median
from simprune.analysis.promises import Promises
from simprune.analysis.quantiles import quantile, upper_limit
from simprune.analysis.relative import relative_gap
from simprune.analysis.rows import PointRows, all_views, ask_rows
from simprune.analysis.summary import LayerSummary, PointSummary, Results, Summary
from simprune.analysis.tails import point_tail
from simprune.analysis.tally import Tally
from simprune.analysis.thresholds import ThresholdTest, judged, threshold_law, threshold_tests
from simprune.analysis.views import LOWER
from simprune.design.point import Point
from simprune.model.errors import InputError

Doubles = npt.NDArray[np.float64]

LEVELS = (0.05, 0.5, 0.95)
THRESHOLD_ERROR = 0.01
ERROR = 1.0 - CONFIDENCE


def summarize(
    results: Results,
    *,
    epsilons: Sequence[float] | None = None,
    delta: float | None = None,
    levels: Sequence[float] = LEVELS,
    tails: Sequence[float] = (),
) -> Summary:
    """Return the analysis of all stored trials; ``epsilons`` and ``delta`` default to the design's.

    ``tails`` are small deltas whose quantiles of level 1 - delta are extrapolated (``tails.tail``).
    """
    asked = tuple(results.epsilons if epsilons is None else epsilons)
    tolerated = results.delta if delta is None else delta
    _check(asked, tolerated, tails)
    ordered_levels = tuple(sorted(set(levels)))
    wanted = _epsilons(results, asked)
    laboratory = ExponentLaboratory(results.points, ordered_levels)
    study = _Study(
        laboratory=laboratory,
        promises=Promises(delta=tolerated),
        epsilons=wanted,
        delta=tolerated,
        levels=ordered_levels,
        tails=tuple(tails),
    )
    summaries: dict[int, PointSummary] = {}
    tests: dict[int, tuple[ThresholdTest, ...]] = {}
    for i in laboratory.reading_order():
        point = results.points[i]
        views = all_views(point, results.trained(point))
        summaries[i], samples, thresholds = ask_rows(results, point, views, partial(study.of, i, point))
        laboratory.add(i, samples)
        tests[i] = threshold_tests(point, thresholds, index=i)
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


def _check(epsilons: tuple[float, ...], delta: float, tails: Sequence[float]) -> None:
    for epsilon in epsilons:
        if not 0.0 <= epsilon < float("inf"):
            raise InputError(f"epsilon must be at least 0 and finite, got {epsilon}; it is a bound on the gap")
    if not 0.0 < delta < 1.0:
        raise InputError(f"delta must lie in (0, 1), got {delta}; it is the tolerated probability of a gap above epsilon")
    for small in tails:
        if not 0.0 < small < 1.0:
            raise InputError(f"the delta of a tail must lie in (0, 1), got {small}; the 1 - delta quantile is extrapolated")


def _epsilons(results: Results, asked: tuple[float, ...]) -> list[tuple[float, ...]]:
    if asked:
        return [asked] * len(results.points)
    chosen: list[tuple[float, ...]] = [()] * len(results.points)
    for group in settings(results.points):
        medians = [
            ask_rows(results, results.points[i], {"lower": LOWER}, lambda rows: _median(rows["lower"]), tallied=False)
            for i in group
        ]
        values = chosen_epsilons([value for value in medians if value is not None])
        for i in group:
            chosen[i] = values
    return chosen


def _median(ordered: Ordered) -> float | None:
    return median(ordered) if len(ordered) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    """What is asked of the rows of every point."""

    laboratory: ExponentLaboratory
    promises: Promises
    epsilons: list[tuple[float, ...]]
    delta: float
    levels: tuple[float, ...]
    tails: tuple[float, ...]

    def of(self, index: int, point: Point, rows: PointRows) -> tuple[PointSummary, Samples, Doubles]:
        """Return the summary of a point, its samples for the exponents, and its thresholds for their test."""
        lower, upper, tally = rows["lower"], rows["upper"], rows.tally
        none = Refused(reason="no row is certified; add the spectral estimator")
        ratios = (rows[f"{side} ratio"] for side in ("attained", "lower", "upper"))
        epsilons = self.epsilons[index]
        summary = PointSummary(
            point=point,
            digest=point.digest(),
            layers=_layers(point, tally),
            trials=len(lower),
            below_noise=tally.below_noise,
            noise_floor=tally.noise_floor,
            certified=len(upper),
            count_errors=tally.count_errors,
            lower=tuple(quantile(lower, level, error=ERROR) for level in self.levels),
            upper=tuple(quantile(upper, level, error=ERROR) for level in self.levels) if len(upper) else none,
            upper_limit=upper_limit(upper, 1.0 - self.delta, error=ERROR) if len(upper) else none,
            probabilities=tuple(gap_probability(lower, upper, epsilon=e, delta=self.delta, error=ERROR) for e in epsilons),
            relative=relative_gap(*ratios, levels=self.levels, error=ERROR),
            promise=self.promises.of(point, lower, upper, rows["product"], epsilons=epsilons),
            tails=tuple(point_tail(lower, upper, small, key=point.digest()) for small in self.tails),
        )
        return summary, self.laboratory.samples(index, lower, upper), tally.thresholds


def _layers(point: Point, tally: Tally) -> tuple[LayerSummary, ...]:
    return tuple(
        LayerSummary(n_weights=n, n_pruned=k, pruned_fraction=k / n, kept_fraction=1.0 - k / n)
        for n, k in zip(point.network.n_weights, tally.n_pruned(), strict=True)
    )


def _untested(points: Sequence[Point]) -> tuple[str, ...]:
    reasons = {law for p in points for layer in range(p.network.depth) if isinstance(law := threshold_law(p, layer), str)}
    return tuple(sorted(reasons))
