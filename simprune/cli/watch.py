"""Following a run by what it has stored; reads only."""

import time
from collections import Counter, deque
from pathlib import Path

from simprune.cli.progress import reporter
from simprune.design.share import Share
from simprune.engine.progress import PointProgress, Progress
from simprune.engine.stop import StopRequest
from simprune.engine.watched import Interval, Tally
from simprune.store.growing import GrowingResults
from simprune.store.record import RunRecord
from simprune.store.source import AbstractSource
from simprune.store.stops import Stop

SECONDS = 2.0
WINDOW_SECONDS = 120.0
GAPS = ("gap_lower", "gap_upper")


def watch(folder: Path, *, form: str, seconds: float = SECONDS) -> bool:
    """Draw the progress of the run in ``folder`` until it is complete or a signal comes; return whether it is complete."""
    stop, eye = StopRequest(), _Eye(folder)
    with stop.on_signals(), reporter(stop, news=list, form=form, stopping="no longer watching") as show:
        while True:
            stopping = stop.requested
            progress = eye.look()
            show(progress)
            if progress.finished or stopping:
                return progress.finished
            wait = time.monotonic() + seconds
            while time.monotonic() < wait and not stop.requested:
                time.sleep(0.05)


class _Eye:
    """Counts the rows that appear, and forecasts from those of the last two minutes."""

    def __init__(self, folder: Path) -> None:
        self._results = GrowingResults(folder)
        self._begun = time.monotonic()
        self._done: Counter[str] = Counter()
        self._tallies: dict[str, Tally] = {}
        self._history: deque[tuple[float, int]] = deque()

    def look(self) -> Progress:
        """Read what is new and return where the run stands."""
        for digest, rows in self._results.new_rows(names=GAPS):
            self._done[digest] += len(rows["gap_lower"])
            epsilons = self._results.source.record.epsilons
            if epsilons:
                self._tallies[digest] = self._tallies.get(digest, Tally(epsilon=epsilons[0])).with_rows(rows)
        source, now = self._results.source, time.monotonic()
        points = self._points(source)
        done, target = (sum(getattr(point, name) for point in points) for name in ("done", "target"))
        self._history.append((now, done))
        while self._history[0][0] < now - WINDOW_SECONDS:
            self._history.popleft()
        rate = (done - self._history[0][1]) / max(now - self._history[0][0], 1e-9)
        finished = all(point.done + point.n_failed >= point.target for point in points)
        adaptive = "[stopping]" in source.record.text
        return Progress(
            points=points,
            rows_per_second=rate or None,
            remaining_seconds=(target - done) / rate if rate and not adaptive else None,
            elapsed_seconds=now - self._begun,
            n_failed=sum(point.n_failed for point in points),
            message="; ".join(source.problems.values()),
            finished=finished,
        )

    def _points(self, source: AbstractSource) -> tuple[PointProgress, ...]:
        stops = {stop.digest: stop for stop in source.stops}
        failed: Counter[str] = Counter()
        for failure in source.failed:
            failed[failure.digest] += failure.stop - failure.first
        asked = _asked(source.record)
        return tuple(
            PointProgress(
                point=point,
                done=min(self._done[digest], stops[digest].trials) if digest in stops else self._done[digest],
                target=stops[digest].trials if digest in stops else asked,
                n_failed=failed[digest],
                watched=_interval(stops[digest]) if digest in stops else self._tallies.get(digest),
            )
            for digest, point in zip(source.record.digests, source.record.points, strict=True)
        )


def _asked(record: RunRecord) -> int:
    """Return the trials of every point that the run is to compute: all, or those of its share."""
    share = record.provenance.get("share")
    if share is None or record.provenance.get("continued"):
        return record.trials
    first, stop = Share.parse(str(share)).of(record.trials)
    return stop - first


def _interval(stop: Stop) -> Interval:
    return Interval(quantity="watched quantity", low=stop.low, high=stop.high, n_trials=stop.trials)
