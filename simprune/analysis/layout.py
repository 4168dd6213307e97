"""Plain-text tables of bounded width whose rows stand under a heading a group."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from simprune.analysis.wording import facts
from simprune.design.point import Point

WIDTH = 108
LABEL_WIDTH = 17


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
    return sorted(members, key=lambda i: points[i].network.channels) if label == "widths" else members


def table(
    columns: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]], *, label_width: int = LABEL_WIDTH
) -> str:
    """Return aligned columns (the first to the left, the others to the right) under group headings.

    A label longer than ``label_width`` stands on a line of its own.
    """
    rows = [row for _, group in groups for row in group]
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    widths[0] = min(widths[0], label_width)
    gap = min(3, max(1, (WIDTH - 3 - sum(widths)) // max(1, len(widths) - 1)))
    lines = [_line(columns, widths, gap), "  " + "-" * (sum(widths) + gap * (len(widths) - 1))]
    for heading, group in groups:
        if heading and group:
            lines.extend(paragraph(line, " ") for line in heading.split("\n"))
        for label, *rest in group:
            if len(label) > widths[0]:
                lines.append(f"  {label}")
            lines.append(_line([label if len(label) <= widths[0] else "", *rest], widths, gap))
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int], gap: int) -> str:
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return ("  " + (" " * gap).join([cells[0].ljust(widths[0]), *rest])).rstrip()


def paragraph(text: str, indent: str = "", *, bullet: str = "") -> str:
    """Return text wrapped to the width of the report, hanging behind a bullet if there is one."""
    hanging = indent + " " * len(bullet)
    return textwrap.fill(text, WIDTH, initial_indent=indent + bullet, subsequent_indent=hanging, break_on_hyphens=False)


def section(title: str, explained: str, body: str = "") -> str:
    """Return a titled section; what the table means stands above it."""
    head = "\n".join([title, "-" * len(title), paragraph(explained)])
    return f"{head}\n\n{body}" if body else head
