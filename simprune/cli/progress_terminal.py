"""Progress in place on a terminal: a bar for everything, and a line for each of the points under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simprune.cli.progress import News, Show
from simprune.cli.progress_text import interval_text, pace, under_way

if TYPE_CHECKING:
    from simprune.engine import Progress, StopRequest

BAR_WIDTH = 40
MOST_POINTS = 12
OTHER_LINES = 4


@contextmanager
def on_terminal(stop: "StopRequest", *, news: News, stopping: str) -> Iterator[Show]:
    """Yield what draws a snapshot on stderr over the one before."""
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as live:
        told = {""}

        def show(progress: "Progress") -> None:
            first = len(told) == 1 and not progress.finished
            for line in [*(news() if first else ()), progress.message, stopping if stop.requested else ""]:
                if line not in told:
                    console.print(line, highlight=False, markup=False)
                    told.add(line)
            room = max(1, min(MOST_POINTS, console.height - OTHER_LINES))
            live.update(drawn(progress, room), refresh=True)

        yield show


def drawn(progress: "Progress", room: int) -> RenderableType:
    """Return the bar and at most ``room`` points."""
    head = Table.grid(padding=(0, 1))
    share = 100.0 * progress.done / progress.target if progress.target else 100.0
    bar = ProgressBar(total=max(progress.target, 1), completed=progress.done, width=BAR_WIDTH)
    head.add_row(bar, Text(f"{share:5.1f} %"), Text(f"{progress.done} of {progress.target} rows, {pace(progress)}"))
    points = Table.grid(padding=(0, 2))
    current = under_way(progress.points)
    for point in current[:room]:
        failed = f"{point.n_failed} failed" if point.n_failed else ""
        cells = (point.point.digest()[:16], f"{point.done} of {point.target}", interval_text(point), failed)
        points.add_row(*(Text(cell) for cell in cells))
    done = sum(point.done >= point.target for point in progress.points)
    more = f", {len(current) - room} more under way" if len(current) > room else ""
    return Group(head, points, Text(f"{done} of {len(progress.points)} points done{more}"))
