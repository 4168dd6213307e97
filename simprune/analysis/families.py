"""Families of points that differ only in width: what an exponent can be fitted over."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from simprune.design.point import Point
from simprune.rng import canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Points (by index, in ascending width) whose marked widths grow in proportion while all else is equal.

    ``widths`` holds each point's d, the first growing width; ``pattern`` is e.g. ``d-d-d`` or ``784-d-d-10``. The widths of
    a network with convolutions are its numbers of channels.
    """

    members: tuple[int, ...]
    widths: tuple[int, ...]
    growing: tuple[bool, ...]
    pattern: str


def setting(point: Point) -> bytes:
    """Return what points must share to differ only in width, as canonical JSON."""
    described = point.to_dict()
    network = described["network"]
    if "layers" in network:
        sizes = ("channels", "width")
        alike = [{key: value for key, value in layer.items() if key not in sizes} for layer in network["layers"]]
        described["network"] = network | {"input": network["input"][1:], "layers": alike}
    else:
        described["network"] = network | {"widths": point.network.depth}
    return canonical_json(described)


def settings(points: Sequence[Point]) -> tuple[tuple[int, ...], ...]:
    """Return the indices of points grouped by setting, in the order of first appearance."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for i, point in enumerate(points):
        groups[setting(point)].append(i)
    return tuple(tuple(group) for group in groups.values())


def families(points: Sequence[Point]) -> tuple[Family, ...]:
    """Return all maximal families of at least two points."""
    found: list[Family] = []
    for group in settings(points):
        if points[group[0]].network.distribution is not None:
            found.extend(_of_group(points, group))
    return tuple(found)


def _of_group(points: Sequence[Point], group: tuple[int, ...]) -> list[Family]:
    widths = {i: points[i].network.channels for i in group}
    patterns = {tuple(a != b for a, b in zip(widths[i], widths[j], strict=True)) for i, j in combinations(group, 2)}
    members: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for growing in sorted(patterns, reverse=True):
        for i in group:
            members[(growing, *_shape(widths[i], growing))].append(i)
    sets = [(key[0], sorted(m, key=lambda i: widths[i])) for key, m in members.items() if len(m) > 1]
    kept = [(growing, m) for growing, m in sets if not any(set(m) < set(other) for _, other in sets)]
    return [_family(widths, growing, m) for growing, m in kept if isinstance(growing, tuple)]


def _shape(widths: tuple[int, ...], growing: tuple[bool, ...]) -> tuple[object, ...]:
    first = widths[growing.index(True)]
    return tuple(Fraction(width, first) if grows else width for width, grows in zip(widths, growing, strict=True))


def _family(widths: dict[int, tuple[int, ...]], growing: tuple[bool, ...], members: list[int]) -> Family:
    at = growing.index(True)
    parts = []
    for ratio, grows in zip(_shape(widths[members[0]], growing), growing, strict=True):
        parts.append(str(ratio) if not grows else "d" if ratio == 1 else f"{ratio}d")
    return Family(
        members=tuple(members),
        widths=tuple(widths[i][at] for i in members),
        growing=growing,
        pattern="-".join(parts),
    )
