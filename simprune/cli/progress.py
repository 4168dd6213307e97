"""Progress of a run: a bar on a terminal, plain lines every few seconds elsewhere (no colours, no carriage returns)."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from simprune.engine import Progress, StopRequest

LINE_SECONDS = 5.0
STOPPING = "stopping: what is there is stored"
Show = Callable[["Progress"], None]


@contextmanager
def reporter(stop: "StopRequest", *, news: Callable[[], Sequence[str]]) -> Iterator[Show]:
    """Yield what draws a snapshot on stderr, a terminal or not; ``news`` is told when there is something to compute."""
    if sys.stderr.isatty():
        with _bar(stop, news) as show:
            yield show
    else:
        yield PlainLines(stop, news=news)


class PlainLines:
    """Prints a line at the start, every few seconds, and at the end."""

    def __init__(
        self, stop: "StopRequest", *, news: Callable[[], Sequence[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stop, self._news, self._clock = stop, news, clock
        self._told_at: float | None = None
        self._message = ""
        self._told_stop = False

    def __call__(self, progress: "Progress") -> None:
        now = self._clock()
        if progress.message != self._message:
            self._message = progress.message
            click.echo(progress.message, err=True)
        if self._stop.requested and not self._told_stop:
            self._told_stop = True
            click.echo(STOPPING, err=True)
        if self._told_at is None:
            if progress.finished:
                return
            for line in self._news():
                click.echo(line, err=True)
        elif not progress.finished and now - self._told_at < LINE_SECONDS:
            return
        self._told_at = now
        click.echo(sentence(progress), err=True)


@contextmanager
def _bar(stop: "StopRequest", news: Callable[[], Sequence[str]]) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.percentage:5.1f} %"), TextColumn("{task.description}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        told = {""}

        def show(progress: "Progress") -> None:
            first = len(told) == 1 and not progress.finished
            for line in [*(news() if first else ()), progress.message]:
                if line not in told:
                    console.print(line, highlight=False, markup=False)
                    told.add(line)
            ending = STOPPING if stop.requested else pace(progress)
            bar.update(task, total=progress.target, completed=progress.done, description=ending)

        yield show


def sentence(progress: "Progress") -> str:
    """Return a snapshot as one line."""
    share = 100.0 * progress.done / progress.target
    return f"{progress.done} of {progress.target} rows ({share:.1f} %), {pace(progress)}"


def pace(progress: "Progress") -> str:
    """Return rate and remaining time in words."""
    failed = f", {progress.n_failed} failed" if progress.n_failed else ""
    if progress.finished:
        return f"took {duration(progress.elapsed_seconds)}{failed}"
    rate = f"{progress.rows_per_second:.3g} rows/s" if progress.rows_per_second else "measuring"
    left = "" if progress.remaining_seconds is None else f", about {duration(progress.remaining_seconds)} left"
    return f"{rate}{left}{failed}"


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(3.21), duration(200), duration(20000)
    ('3 s', '3 min 20 s', '5 h 33 min')
    """
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
