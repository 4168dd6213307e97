"""In what two sets of points differ, in words."""

from collections.abc import Iterable, Iterator
from typing import Any

from simprune.design.point import Point
from simprune.rng import canonical_json

MAX_NAMED = 4
MAX_VALUES = 4


def differences(
    stored: Iterable[Point], wanted: Iterable[Point], *, there: str = "in the folder", here: str = "in the design"
) -> str:
    """Return e.g. ``seed (1 in the folder, 2 in the design)`` for every property that differs."""
    old, new = _values(stored), _values(wanted)
    named = []
    for path in sorted(old.keys() | new.keys()):
        first, second = old.get(path, set()), new.get(path, set())
        if first != second:
            named.append(f"{path} ({_listed(first)} {there}, {_listed(second)} {here})")
    if not named:
        return "the same values are combined to other points"
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return ", ".join(named[:MAX_NAMED]) + more


def _values(points: Iterable[Point]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for point in points:
        for path, value in _flat(point.to_dict(), ""):
            found.setdefault(path, set()).add(value)
    return found


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from _flat(item, f"{path}.{item.get('name', '')}")
    else:
        yield path, canonical_json(value).decode()


def _listed(values: set[str]) -> str:
    if not values:
        return "nothing"
    shown = sorted(values, key=lambda value: (len(value), value))
    more = f" and {len(shown) - MAX_VALUES} more" if len(shown) > MAX_VALUES else ""
    return " / ".join(shown[:MAX_VALUES]) + more
