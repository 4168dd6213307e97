"""Plain-text tables of bounded width whose rows stand under a heading a group."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from simprune.analysis.wording import facts
from simprune.design.point import Point

WIDTH = 108


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows that share a heading: indices of points and the label of each."""

    heading: str
    rows: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """How a study's points are told: what all share, the name of the row label, and the groups."""

    shared: str
    label: str
    groups: tuple[Group, ...]


def arrange(points: Sequence[Point]) -> Arrangement:
    """Return the points grouped so that rows of a group differ in one thing: the widths if they vary, else the amount."""
    told = [facts(point) for point in points]
    varying = [key for key in told[0] if len({t[key] for t in told}) > 1]
    label = "widths" if "widths" in varying or "amount" not in varying else "amount"
    heading_keys = [key for key in varying if key != label]
    groups: dict[str, list[int]] = {}
    for i, t in enumerate(told):
        groups.setdefault(", ".join(t[key] for key in heading_keys), []).append(i)
    shared = ", ".join(value for key, value in told[0].items() if key not in varying and key != label)
    built = tuple(
        Group(heading=heading, rows=tuple((i, told[i][label]) for i in _sorted(points, members, label)))
        for heading, members in groups.items()
    )
    return Arrangement(shared=shared, label=label, groups=built)


def _sorted(points: Sequence[Point], members: list[int], label: str) -> list[int]:
    return sorted(members, key=lambda i: points[i].network.widths) if label == "widths" else members


def table(columns: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> str:
    """Return aligned columns (the first to the left, the others to the right) under group headings."""
    rows = [row for _, group in groups for row in group]
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    gap = min(3, max(1, (WIDTH - 3 - sum(widths)) // max(1, len(widths) - 1)))
    lines = [_line(columns, widths, gap), "  " + "-" * (sum(widths) + gap * (len(widths) - 1))]
    for heading, group in groups:
        if heading and group:
            lines.append(f" {heading}")
        lines.extend(_line(row, widths, gap) for row in group)
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], gap: int) -> str:
    first, *rest = (
        cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
    )
    return ("  " + (" " * gap).join([first, *rest])).rstrip()


def paragraph(text: str, indent: str = "") -> str:
    """Return text wrapped to the width of the report."""
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
