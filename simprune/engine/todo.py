"""What is still to be computed: a design minus what the store holds."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from simprune.design.block import Block, family
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.records import Ranges, missing_ranges

FamilyKey = tuple[tuple[int, int], str]


def missing_blocks(
    design: Design, completed: Callable[[Point], Ranges], *, targets: Mapping[Point, int] | None = None
) -> Mapping[FamilyKey, tuple[Block, ...]]:
    """Return for every family the trials that its points miss, as few large blocks in trial order.

    A block holds exactly the points of the family that miss its trials, so nothing is computed twice. ``targets`` holds
    the number of trials of each point, by default the design's (or those up to the end of its share).
    """
    first, stop = design.wanted
    wanted = targets or dict.fromkeys(design.points(), stop)
    families: dict[FamilyKey, list[Point]] = {}
    for point in design.points():
        families.setdefault(family(point), []).append(point)
    todo = {}
    for key, points in families.items():
        missing = [missing_ranges(((0, first), *completed(point)), wanted[point]) for point in points]
        trained = design.network_of(points[0])
        blocks = tuple(
            Block(points=needy, first=start, stop=end, trained=trained) for needy, start, end in _overlay(points, missing)
        )
        if blocks:
            todo[key] = blocks
    return todo


def _overlay(points: Sequence[Point], missing: Sequence[Ranges]) -> list[tuple[tuple[Point, ...], int, int]]:
    starts: dict[int, list[int]] = {}
    stops: dict[int, list[int]] = {}
    for index, ranges in enumerate(missing):
        for first, stop in ranges:
            starts.setdefault(first, []).append(index)
            stops.setdefault(stop, []).append(index)
    active: set[int] = set()
    pieces = []
    for first, stop in pairwise(sorted(starts.keys() | stops.keys())):
        active.difference_update(stops.get(first, ()))
        active.update(starts.get(first, ()))
        if active:
            pieces.append((tuple(points[i] for i in sorted(active)), first, stop))
    return pieces
