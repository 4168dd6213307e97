"""Running a design: compute what the store misses, store it as it arrives, blame only what failed alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from simprune.backends.base import AbstractBackend
from simprune.design.block import Block
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.engine.progress import Meter, Progress
from simprune.engine.queue import WorkQueue
from simprune.engine.report import Failure, RunReport
from simprune.engine.stop import StopRequest
from simprune.engine.todo import missing_blocks
from simprune.records import Ranges, TrialBatch, TrialTable, merge_ranges
from simprune.schedulers.base import AbstractScheduler, Outcome
from simprune.store.failures import FailedTrials
from simprune.store.stops import Stop

if TYPE_CHECKING:
    from simprune.engine.stopping import Stopper

OnProgress = Callable[[Progress], None]
GAPS = ("gap_lower", "gap_upper")


class WritableStore(Protocol):
    """What a run needs of a store."""

    def completed(self, point: Point) -> Ranges: ...

    def append(self, batches: Sequence[TrialBatch]) -> None: ...

    def rows(self, points: Sequence[Point], *, names: Sequence[str]) -> Iterator[tuple[Point, TrialTable]]: ...

    def flush(self) -> None: ...

    def record_failures(self, failures: Sequence[FailedTrials]) -> None: ...

    def record_stops(self, stops: Sequence[Stop]) -> None: ...


def run(
    design: Design,
    *,
    backend: AbstractBackend,
    scheduler: AbstractScheduler,
    store: WritableStore,
    progress: OnProgress | None = None,
    stop: StopRequest | None = None,
    block_trials: int | None = None,
) -> RunReport:
    """Complete what ``store`` misses of ``design``; nothing is started if nothing is missing.

    The caller owns scheduler and store and closes them. ``block_trials`` fixes the size of blocks, which is
    otherwise chosen to take about a second; it changes no number. Raises InputError (SchedulerLost among them) and
    the store's OSError; what was stored before stays.
    """
    points = design.points()
    first, last = design.wanted
    stored = {point: _n_trials(store.completed(point), first, last) for point in points}
    n_before = sum(stored.values())
    stopper = _stopper(design)
    if stopper is not None:
        for point, rows in store.rows([point for point in points if stored[point]], names=("trial", *GAPS)):
            stopper.remember(point, rows)
    queue, meter, stop = WorkQueue({}, block_trials=block_trials), Meter(design, stored), stop or StopRequest()
    loop = _Loop(backend, scheduler, store=store, queue=queue, meter=meter, progress=progress, stop=stop, stopper=stopper)
    try:
        loop.rounds(design)
    finally:
        store.flush()
        if queue.failed:
            store.record_failures([_record(failure) for failure in queue.failed])
        if stopper is not None:
            store.record_stops(stopper.stops)
    if progress is not None:
        progress(meter.snapshot(queue, finished=True))
    targets = dict.fromkeys(points, last - first)
    if stopper is not None:
        targets |= stopper.targets
        n_before = sum(min(stored[point], targets[point]) for point in points)
    n_target = sum(targets.values())
    n_open = n_target - n_before - meter.n_computed - len(queue.failed) - queue.n_given_up
    waiting = stopper is not None and len(stopper.stops) < len(points)
    return RunReport(
        n_target=n_target,
        n_before=n_before,
        n_computed=meter.n_computed,
        failed=tuple(queue.failed),
        n_given_up=queue.n_given_up,
        stopped=stop.requested and (n_open > 0 or waiting),
        seconds=meter.elapsed,
        stops=stopper.stops if stopper else (),
    )


def _stopper(design: Design) -> "Stopper | None":
    if design.stopping is None:
        return None
    from simprune.engine.stopping import Stopper

    return Stopper(design, design.stopping)


def _n_trials(ranges: Ranges, first: int, last: int) -> int:
    return sum(max(0, min(stop, last) - max(start, first)) for start, stop in ranges)


def _record(failure: Failure) -> FailedTrials:
    digest = failure.point.digest()
    return FailedTrials(digest=digest, first=failure.trial, stop=failure.trial + 1, reason=failure.reason)


class _Loop:
    def __init__(
        self,
        backend: AbstractBackend,
        scheduler: AbstractScheduler,
        *,
        store: WritableStore,
        queue: WorkQueue,
        meter: Meter,
        progress: OnProgress | None,
        stop: StopRequest,
        stopper: "Stopper | None",
    ) -> None:
        self._backend, self._scheduler, self._store = backend, scheduler, store
        self._queue, self._meter, self._progress, self._stop = queue, meter, progress, stop
        self._stopper = stopper

    def rounds(self, design: Design) -> None:
        """Compute what is missing; with adaptive stopping round by round, each to the numbers of trials it asks for."""
        if self._stopper is None:
            self._queue.add(missing_blocks(design, self._store.completed))
            if self._progress is not None and design.epsilons and self._queue.has_work:
                for point, rows in self._store.rows([p for p, n in self._meter.done.items() if n], names=GAPS):
                    self._meter.remember(point, rows)
            self._run()
            return
        before = dict.fromkeys(design.points(), 0)
        while True:
            targets = self._stopper.targets
            # trials of earlier rounds that are still missing have failed: they are not tried twice
            done = {point: merge_ranges([*self._store.completed(point), (0, before[point])]) for point in targets}
            self._queue.add(missing_blocks(design, done.__getitem__, targets=targets))
            self._run()
            if self._stop.requested:
                return
            before = dict(targets)
            goes_on = self._stopper.advance()
            self._meter.looked(self._stopper.intervals)
            settled = {stop.digest: stop.trials for stop in self._stopper.stops}
            self._meter.settle({p: settled[p.digest()] for p in design.points() if p.digest() in settled})
            if not goes_on:
                return

    def _run(self) -> None:
        """Work until nothing is left or a stop was requested."""
        if self._progress is not None and self._queue.has_work:
            self._progress(self._meter.snapshot(self._queue))
        while self._queue.has_work and not self._stop.requested:
            self._pass(self._queue.take, alone=False)
            if not self._stop.requested:
                self._pass(self._queue.take_suspect, alone=True)

    def _pass(self, take: Callable[[], Block | None], *, alone: bool) -> None:
        outcomes = self._scheduler.map(self._backend.run, iter(take, None), alone=alone)
        with closing(outcomes):
            for outcome in outcomes:
                if outcome is not None:
                    self._handle(outcome, alone=alone)
                if self._progress is not None and self._meter.is_due():
                    self._progress(self._meter.snapshot(self._queue))
                if self._stop.requested:
                    return

    def _handle(self, outcome: Outcome, *, alone: bool) -> None:
        block = outcome.block
        if outcome.failure is None:
            self._store.append(outcome.batches)
            self._queue.finished(block, max(float(batch.info["seconds"]) for batch in outcome.batches))
            self._meter.stored(block, outcome.batches)
            if self._stopper is not None:
                for batch in outcome.batches:
                    self._stopper.take(batch)
            return
        failure = self._queue.failed_once(block, outcome.failure, alone=alone)
        if failure is not None:
            self._meter.message = f"trial {failure.trial} of point {failure.point.digest()[:12]} failed: {failure.reason}"
