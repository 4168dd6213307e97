"""Progress of a run on stderr: in place on a terminal, lines at growing intervals elsewhere, or JSON for machines."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from simprune.cli.progress_text import sentence

if TYPE_CHECKING:
    from simprune.engine import PointProgress, Progress, StopRequest

FORMS = ("auto", "json")
FORMAT = "simprune-progress/1"
FIRST_SECONDS, MOST_SECONDS, GROWTH = 5.0, 600.0, 0.25
JSON_SECONDS = 1.0
STOPPING = "stopping: what is there is stored"
Show = Callable[["Progress"], None]
News = Callable[[], Sequence[str]]


@contextmanager
def reporter(stop: "StopRequest", *, news: News, form: str = "auto", stopping: str = STOPPING) -> Iterator[Show]:
    """Yield what draws a snapshot; ``news`` is told when there is something to compute, ``stopping`` after a signal."""
    if form == "json":
        yield JsonLines(stop, news=news, stopping=stopping)
    elif sys.stderr.isatty():
        from simprune.cli.progress_terminal import on_terminal

        with on_terminal(stop, news=news, stopping=stopping) as show:
            yield show
    else:
        yield PlainLines(stop, news=news, stopping=stopping)


def notice(text: str, *, form: str) -> None:
    """Tell one thing in the form of the progress."""
    if form == "json":
        _print({"format": FORMAT, "event": "notice", "text": text})
    else:
        click.echo(text, err=True)


class _Lines:
    """Tells messages as they come, a snapshot at the start, when one is due, and at the end."""

    def __init__(
        self, stop: "StopRequest", *, news: News, stopping: str = STOPPING, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stop, self._news, self._stopping, self._clock = stop, news, stopping, clock
        self._begun_at = self._told_at = -math.inf
        self._message = ""
        self._told_stop = False

    def __call__(self, progress: "Progress") -> None:
        now = self._clock()
        if progress.message != self._message:
            self._message = progress.message
            self.notice(progress.message)
        if self._stop.requested and not self._told_stop:
            self._told_stop = True
            self.notice(self._stopping)
        if self._told_at == -math.inf:
            if progress.finished:
                return
            self._begun_at = now
            for line in self._news():
                self.notice(line)
        elif not progress.finished and now - self._told_at < self.pause(now - self._begun_at):
            return
        self._told_at = now
        self.snapshot(progress)

    def pause(self, elapsed: float) -> float:
        """Return the seconds between two snapshots, ``elapsed`` seconds after the first."""
        raise NotImplementedError

    def notice(self, text: str) -> None:
        """Tell one thing."""
        raise NotImplementedError

    def snapshot(self, progress: "Progress") -> None:
        """Tell where the run stands."""
        raise NotImplementedError


class PlainLines(_Lines):
    """A line every five seconds at first, later whenever a quarter more time has passed, at last every ten minutes."""

    def pause(self, elapsed: float) -> float:
        return min(max(FIRST_SECONDS, GROWTH * elapsed), MOST_SECONDS)

    def notice(self, text: str) -> None:
        notice(text, form="auto")

    def snapshot(self, progress: "Progress") -> None:
        click.echo(sentence(progress), err=True)


class JsonLines(_Lines):
    """One JSON object a line, at most one snapshot a second; points are told again when they changed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._told: dict[str, PointProgress] = {}

    def pause(self, elapsed: float) -> float:
        return JSON_SECONDS

    def notice(self, text: str) -> None:
        notice(text, form="json")

    def snapshot(self, progress: "Progress") -> None:
        digests = {point.point.digest()[:16]: point for point in progress.points}
        changed = {digest: point for digest, point in digests.items() if self._told.get(digest) != point}
        self._told |= changed
        _print(
            {
                "format": FORMAT,
                "event": "finished" if progress.finished else "progress",
                "elapsed_seconds": round(progress.elapsed_seconds, 3),
                "done": progress.done,
                "target": progress.target,
                "rows_per_second": progress.rows_per_second,
                "remaining_seconds": progress.remaining_seconds,
                "failed": progress.n_failed,
                "points": [_plain(digest, point) for digest, point in changed.items()],
            }
        )


def _plain(digest: str, point: "PointProgress") -> dict[str, Any]:
    found = point.interval
    interval = None
    if found is not None and found.n_trials:
        ends = {name: end if math.isfinite(end) else None for name, end in (("low", found.low), ("high", found.high))}
        interval = {"quantity": found.quantity, **ends, "trials": found.n_trials}
    told = {"point": digest, "done": point.done, "target": point.target}
    return told | {"failed": point.n_failed, "interval": interval}


def _print(event: dict[str, Any]) -> None:
    click.echo(json.dumps(event, allow_nan=False), err=True)
