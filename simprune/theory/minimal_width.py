"""The smallest width from which a bound stays below epsilon."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_WIDTH = 1 << 34


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalWidth:
    """``width``: the bound is at most epsilon on the scanned widths from here on, None if it never is up to ``scanned``."""

    width: int | None
    scanned: int


def minimal_width(
    bound: Callable[[int], float], epsilon: float, *, smallest: int = 8, largest: int = MAX_WIDTH
) -> MinimalWidth:
    """Scan doubling widths, take the last failure, bisect to 0.5 %.

    Counts are floors, so a bound is slightly non-monotone in the width: the answer is about the scanned widths. Beyond
    them ``bounds.closed_form``, which falls, is rigorous.
    """
    grid = [smallest]
    while grid[-1] * 2 <= largest:
        grid.append(grid[-1] * 2)
    failing = [d for d in grid if bound(d) > epsilon]
    if failing and failing[-1] == grid[-1]:
        return MinimalWidth(width=None, scanned=grid[-1])
    low = failing[-1] if failing else 0
    high = low * 2 if failing else smallest
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) <= epsilon else (middle, high)
    return MinimalWidth(width=high, scanned=grid[-1])
