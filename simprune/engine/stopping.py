"""Adaptive stopping: which points have enough trials, and to which number the others go next.

Points are looked at in rounds. A look uses the first n trials of a point, n being fixed beforehand, and a confidence
sequence, so it may stop at any look. With a limited total, further trials go first to the points that are expected to
need the fewest (n ((width now / width wanted)^2 - 1)): so most points are settled for the trials there are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.design.stopping import StoppingRule
from simprune.engine.watched import Interval
from simprune.records import TrialBatch, TrialTable
from simprune.store.stops import Stop
from simprune.theory.sequences import mean_sequence, probability_sequence, quantile_sequence

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The interval of the watched quantity, why it is enough (None if it is not), and the trials it may still need."""

    low: float
    high: float
    enough: str | None
    expected: float


def quantity(rule: StoppingRule) -> str:
    """Return what a rule watches, in words.

    >>> quantity(StoppingRule(quantity="quantile", level=0.95, width=0.1))
    '0.95 quantile of the attained gap'
    """
    if rule.quantity == "probability":
        return f"P(gap > {rule.epsilon:g})"
    return f"{'mean' if rule.quantity == 'mean' else f'{rule.level:g} quantile'} of the {rule.side} gap"


def look(rule: StoppingRule, lower: Doubles, upper: Doubles, *, delta: float) -> Look:
    """Judge the attained (``lower``) and certified (``upper``) gaps ``[n]`` of a point, in trial order."""
    error = 1.0 - rule.confidence
    if rule.quantity == "probability":
        return _probability(rule, lower, upper, delta=delta, error=error)
    values = lower if rule.side == "attained" else upper
    if rule.quantity == "mean":
        finite = bool(np.isfinite(values).all())
        low, high = mean_sequence(values, error=error) if finite else (-math.inf, math.inf)
        centre = float(np.mean(values)) if finite and len(values) else 0.0
    else:
        assert rule.level is not None
        ordered = np.sort(values)
        low, high = quantile_sequence(ordered, rule.level, error=error)
        centre = float(ordered[min(math.ceil(rule.level * len(ordered)), len(ordered)) - 1]) if len(ordered) else 0.0
    assert rule.width is not None
    wanted = rule.width * centre
    if high - low <= wanted:
        told = f"{quantity(rule)} lies in [{low:.4g}, {high:.4g}], {rule.width:g} of it wide or less"
        return Look(low=low, high=high, enough=told, expected=0.0)
    return Look(low=low, high=high, enough=None, expected=_expected(len(values), high - low, wanted))


def _probability(rule: StoppingRule, lower: Doubles, upper: Doubles, *, delta: float, error: float) -> Look:
    """Half the error goes to the sequence of the attained gaps, half to that of the certified ones."""
    assert rule.epsilon is not None
    n = len(lower)
    surely, perhaps = (int(np.count_nonzero(values > rule.epsilon)) for values in (lower, upper))
    least, _ = probability_sequence(surely, n, error=error / 2.0)
    _, most = probability_sequence(perhaps, n, error=error / 2.0)
    name, enough = quantity(rule), None
    if most < delta:
        enough = f"{name} <= {most:.4g} is below delta = {delta:g}"
    elif least > delta:
        enough = f"{name} >= {least:.4g} is above delta = {delta:g}"
    elif rule.width is not None and most - least <= rule.width:
        enough = f"{name} lies in [{least:.4g}, {most:.4g}], {rule.width:g} wide or less"
    if enough:
        return Look(low=least, high=most, enough=enough, expected=0.0)
    to_delta = [
        _expected(n, most - perhaps / max(n, 1), delta - perhaps / max(n, 1)),
        _expected(n, surely / max(n, 1) - least, surely / max(n, 1) - delta),
    ]
    by_width = [] if rule.width is None else [_expected(n, most - least, rule.width)]
    return Look(low=least, high=most, enough=None, expected=min([*to_delta, *by_width]))


def _expected(n: int, width: float, wanted: float) -> float:
    """Return the further trials after which an interval that shrinks like 1 / sqrt(n) is as narrow as wanted."""
    if not wanted > 0.0 or not math.isfinite(width):
        return math.inf
    return max(0.0, n * ((width / wanted) ** 2 - 1.0))


@dataclass(slots=True, kw_only=True)
class _Watched:
    checks: Sequence[int]
    at: int = 0
    interval: Interval | None = None
    lower: Doubles = field(default_factory=lambda: np.empty(0))
    upper: Doubles = field(default_factory=lambda: np.empty(0))
    stop: Stop | None = None

    @property
    def target(self) -> int:
        return self.checks[self.at]

    def take(self, first: int, lower: Doubles, upper: Doubles) -> None:
        stop = first + len(lower)
        if stop > len(self.lower):
            missing = np.full(max(stop, 2 * len(self.lower)) - len(self.lower), np.nan)
            self.lower, self.upper = np.append(self.lower, missing), np.append(self.upper, missing)
        self.lower[first:stop], self.upper[first:stop] = lower, upper

    def gaps(self) -> tuple[Doubles, Doubles]:
        """Return the gaps of the trials below the target, without those that failed."""
        there = ~np.isnan(self.lower[: self.target])
        return self.lower[: self.target][there], self.upper[: self.target][there]


class Stopper:
    """Decides point by point; fed with all rows of a run, 16 bytes a row in memory."""

    def __init__(self, design: Design, rule: StoppingRule) -> None:
        self._rule, self._delta = rule, design.delta
        checks = rule.checks(design.trials)
        self._exhausted = "all trials asked for are done"
        if rule.total is not None and rule.total < len(design.points()) * checks[0]:
            # fewer trials than the first look needs: as many as there are, the same for all
            checks = (max(1, rule.total // len(design.points())),)
            self._exhausted = f"the total of {rule.total} trials leaves no more for it"
        self._watched = {point: _Watched(checks=checks) for point in design.points()}

    @property
    def targets(self) -> Mapping[Point, int]:
        """Number of trials that each point goes to in this round."""
        return {point: watched.target for point, watched in self._watched.items()}

    @property
    def stops(self) -> tuple[Stop, ...]:
        """Points that have enough, in the design's order."""
        return tuple(watched.stop for watched in self._watched.values() if watched.stop)

    @property
    def intervals(self) -> Mapping[Point, Interval]:
        """What every point that was looked at showed."""
        return {point: watched.interval for point, watched in self._watched.items() if watched.interval}

    def remember(self, point: Point, table: TrialTable) -> None:
        """Take rows of trials that were stored before."""
        trials = table["trial"]
        ends = np.flatnonzero(np.diff(trials) != 1) + 1
        for rows in np.split(np.arange(len(trials)), ends):
            if len(rows):
                first = int(trials[rows[0]])
                self._watched[point].take(first, table["gap_lower"][rows], table["gap_upper"][rows])

    def take(self, batch: TrialBatch) -> None:
        """Take rows that were computed."""
        self._watched[batch.point].take(batch.first, batch.columns["gap_lower"], batch.columns["gap_upper"])

    def advance(self) -> bool:
        """Look at every open point once its round is computed; return whether any point goes on."""
        waiting = []
        for point, watched in self._watched.items():
            if watched.stop is None:
                judged = look(self._rule, *watched.gaps(), delta=self._delta)
                watched.interval = Interval(
                    quantity=quantity(self._rule), low=judged.low, high=judged.high, n_trials=watched.target
                )
                last = watched.at + 1 == len(watched.checks)
                if judged.enough or last:
                    watched.stop = _stop(point, watched, judged, judged.enough or self._exhausted)
                else:
                    waiting.append((judged.expected, point, watched, judged))
        return self._grant(sorted(waiting, key=lambda entry: entry[0]))

    def _grant(self, waiting: Sequence[tuple[float, Point, _Watched, Look]]) -> bool:
        spent = sum(watched.target for watched in self._watched.values())
        granted = False
        for _, point, watched, judged in waiting:
            more = watched.checks[watched.at + 1] - watched.target
            if self._rule.total is not None and spent + more > self._rule.total:
                reason = f"the total of {self._rule.total} trials leaves no more for it"
                watched.stop = _stop(point, watched, judged, reason)
                continue
            spent += more
            watched.at += 1
            granted = True
        return granted


def _stop(point: Point, watched: _Watched, judged: Look, reason: str) -> Stop:
    return Stop(digest=point.digest(), trials=watched.target, low=judged.low, high=judged.high, reason=reason)
