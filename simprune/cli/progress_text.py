"""A snapshot of a run in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simprune.engine import PointProgress, Progress


def sentence(progress: "Progress") -> str:
    """Return a snapshot as one line."""
    share = 100.0 * progress.done / progress.target if progress.target else 100.0
    told = f"{progress.done} of {progress.target} rows ({share:.1f} %), {pace(progress)}"
    return told if progress.finished else f"{told}; {points_sentence(progress.points)}"


def pace(progress: "Progress") -> str:
    """Return rate and remaining time in words; what is not known yet is called so."""
    failed = f", {progress.n_failed} failed" if progress.n_failed else ""
    if progress.finished:
        return f"took {duration(progress.elapsed_seconds)}{failed}"
    rate = f"{progress.rows_per_second:.3g} rows/s" if progress.rows_per_second else "measuring"
    unknown = progress.remaining_seconds is None
    left = "time left unknown" if unknown else f"about {duration(progress.remaining_seconds or 0.0)} left"
    return f"{rate}, {left}{failed}"


def points_sentence(points: Sequence["PointProgress"]) -> str:
    """Return how many points are done and where the one under way stands that has come farthest."""
    told = f"{sum(point.done >= point.target for point in points)} of {len(points)} points done"
    current = under_way(points)[:1]
    return told + "".join(f"; {point.point.digest()[:16]}: {point_text(point)}" for point in current)


def under_way(points: Sequence["PointProgress"]) -> list["PointProgress"]:
    """Return the points that have some but not all of their trials, those with the fewest left first."""
    some = [point for point in points if 0 < point.done < point.target]
    return sorted(some, key=lambda point: point.target - point.done)


def point_text(point: "PointProgress") -> str:
    """Return trials, failures and interval of a point."""
    failed = f", {point.n_failed} failed" if point.n_failed else ""
    found = interval_text(point)
    return f"{point.done} of {point.target} trials{failed}{', ' if found else ''}{found}"


def interval_text(point: "PointProgress") -> str:
    """Return the watched quantity with its interval, "" where nothing is watched or known."""
    found = point.interval
    if found is None or not found.n_trials:
        return ""
    return f"{found.quantity} in [{found.low:.3g}, {found.high:.3g}]"


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
