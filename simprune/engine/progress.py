"""How far a run is: plain numbers for whoever draws them."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from simprune.design.block import Block, family
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.engine.queue import WorkQueue
from simprune.engine.todo import FamilyKey
from simprune.engine.watched import Interval, Tally
from simprune.records import Column, TrialBatch

REPORT_SECONDS = 0.25
WINDOW_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PointProgress:
    """Stored and wanted trials of a point; with adaptive stopping no more than those are wanted."""

    point: Point
    done: int
    target: int
    n_failed: int = 0
    watched: Interval | Tally | None = None

    @property
    def interval(self) -> Interval | None:
        """The watched quantity of an adaptive run at its last look; else of P(gap <= epsilon), first epsilon; or None."""
        return self.watched.interval() if isinstance(self.watched, Tally) else self.watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A snapshot of a run; rows are trials times points, times are in seconds, None means not known yet."""

    points: tuple[PointProgress, ...]
    rows_per_second: float | None
    remaining_seconds: float | None
    elapsed_seconds: float
    n_failed: int
    message: str
    finished: bool

    @property
    def done(self) -> int:
        """Rows stored."""
        return sum(p.done for p in self.points)

    @property
    def target(self) -> int:
        """Rows wanted."""
        return sum(p.target for p in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    at: float
    key: FamilyKey
    n_trials: int
    n_rows: int


class Meter:
    """Counts rows and forecasts the end from what was computed in the last half minute."""

    def __init__(self, design: Design, done: Mapping[Point, int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = self._reported = clock()
        first, stop = design.wanted
        self._targets = dict.fromkeys(design.points(), stop - first)
        self._done = {point: min(n, stop - first) for point, n in done.items()}
        self._open_ended = design.stopping is not None
        tally = Tally(epsilon=design.epsilons[0]) if design.epsilons and design.stopping is None else None
        self._watched: dict[Point, Interval | Tally | None] = dict.fromkeys(design.points(), tally)
        self._ended: deque[_Ended] = deque()
        self.n_computed = 0
        self.message = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    @property
    def done(self) -> Mapping[Point, int]:
        """Stored trials of every point."""
        return self._done

    def stored(self, block: Block, batches: Sequence[TrialBatch]) -> None:
        """Take note of rows that were stored."""
        for batch in batches:
            self.remember(batch.point, batch.columns)
            self._done[batch.point] += batch.stop - batch.first
            self.n_computed += batch.stop - batch.first
        n_rows = len(block.points) * block.n_trials
        self._ended.append(_Ended(at=self._clock(), key=family(block.points[0]), n_trials=block.n_trials, n_rows=n_rows))

    def remember(self, point: Point, rows: Mapping[str, Column]) -> None:
        """Count the gaps of rows that are stored."""
        tally = self._watched[point]
        if isinstance(tally, Tally):
            self._watched[point] = tally.with_rows(rows)

    def looked(self, intervals: Mapping[Point, Interval]) -> None:
        """Take note of what adaptive stopping sees."""
        self._watched |= intervals

    def settle(self, targets: Mapping[Point, int]) -> None:
        """Take note of the final numbers of trials of some points."""
        for point, n in targets.items():
            self._targets[point] = n
            self._done[point] = min(self._done[point], n)

    def is_due(self) -> bool:
        """Whether the last report is old enough for another."""
        now = self._clock()
        if now - self._reported < REPORT_SECONDS:
            return False
        self._reported = now
        return True

    def snapshot(self, queue: WorkQueue, *, finished: bool = False) -> Progress:
        """Return the state of the run."""
        now = self._clock()
        while self._ended and self._ended[0].at < now - WINDOW_SECONDS:
            self._ended.popleft()
        span = min(now - self._started, WINDOW_SECONDS)
        rows = sum(block.n_rows for block in self._ended)
        failed = Counter(failure.point for failure in queue.failed)
        return Progress(
            points=tuple(
                PointProgress(point=p, done=n, target=self._targets[p], n_failed=failed[p], watched=self._watched[p])
                for p, n in self._done.items()
            ),
            rows_per_second=rows / span if rows and span > 0 else None,
            remaining_seconds=0.0 if finished else self._remaining(queue, span),
            elapsed_seconds=now - self._started,
            n_failed=len(queue.failed),
            message=self.message,
            finished=finished,
        )

    def _remaining(self, queue: WorkQueue, span: float) -> float | None:
        left = [work.seconds_left() for work in queue.families.values()]
        per_trial = {key: work.pace.seconds_per_trial or 0.0 for key, work in queue.families.items()}
        spent = sum(block.n_trials * per_trial[block.key] for block in self._ended)
        if self._open_ended or spent <= 0.0 or any(seconds is None for seconds in left):
            return None
        return sum(seconds for seconds in left if seconds is not None) * span / spent
