"""Brackets, budgets and prunings in words and tables."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

import numpy as np
import numpy.typing as npt

from simprune.bracket.budget import Allowance
from simprune.bracket.gap import GapBracket


def share(part: int, whole: int) -> str:
    """Return a percentage that shows small shares.

    >>> share(1, 40), share(1, 100000)
    ('2.5 %', '0.001 %')
    """
    return f"{100 * part / whole:.3g} %"


def at_least(value: float, digits: int = 6) -> str:
    """Return a number rounded down.

    >>> at_least(0.123456789), at_most(0.123456789, 4)
    ('0.123456', '0.1235')
    """
    return f"{float(Context(prec=digits, rounding=ROUND_FLOOR).create_decimal_from_float(value)):.{digits}g}"


def at_most(value: float, digits: int = 6) -> str:
    """Return a number rounded up."""
    return f"{float(Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(value)):.{digits}g}"


def gap_text(found: GapBracket) -> str:
    """Return the lines of ``simprune gap``."""
    told = ", ".join(f"{name} {at_most(value)}" for name, value in found.certificates.items())
    lines = [
        f"gap: at least {at_least(found.lower)} (attained), at most {at_most(found.upper)} (certified)",
        f"certificates: {told}",
        f"rounding error bound of the attained value: {at_most(found.noise, 2)}",
    ]
    if found.output_norm > 0.0:
        relative = found.lower / found.output_norm
        lines.append(f"largest output norm seen: {at_least(found.output_norm)}; attained gap / that: {relative:.3g}")
    return "\n".join(lines)


def pruned_text(masks: Sequence[npt.NDArray[np.bool_]]) -> str:
    """Return a table of what was pruned in every layer."""
    rows = [(f"layer {i}", int(mask.size - np.count_nonzero(mask)), mask.size) for i, mask in enumerate(masks)]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    cells = [(name, str(size), str(gone), share(gone, size), share(size - gone, size)) for name, gone, size in rows]
    return table(("", "weights", "pruned", "pruned share", "kept share"), cells)


def budget_text(lines: Sequence[Allowance], *, epsilon: float) -> str:
    """Return the table of ``simprune budget``."""
    head = ("pruned", "weights", "certified", "share", "gap at most", "breaks at", "share", "gap at least")
    rows = [_budget_row(line) for line in lines]
    counts = [f"{line.name}: {','.join(map(str, line.certified))}" for line in lines if len(line.layers) > 1]
    return "\n".join(
        [
            table(head, rows),
            f"certified: the gap is at most epsilon = {epsilon:g}; breaks at: an input with a larger gap was found",
            "certified counts of each layer: " + "; ".join(counts) if counts else "",
        ]
    ).rstrip()


def _budget_row(line: Allowance) -> tuple[str, ...]:
    total = sum(line.sizes[i] for i in line.layers)
    certified = sum(line.certified)
    row = (line.name, str(total), str(certified), share(certified, total), at_most(line.upper, 4))
    if line.attained is None or line.lower is None:
        return (*row, "never", "", "")
    return (*row, str(sum(line.attained)), share(sum(line.attained), total), at_least(line.lower, 4))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns, the first one to the left."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for first, *rest in (head, *rows):
        cells = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])
