"""Registered specs: name <-> class, and the JSON form that digests are made of."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from simprune.model.errors import InputError, nearest


class Registered:
    """A frozen dataclass with a ``name``, that converts to and from plain JSON values."""

    __slots__ = ()
    name: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": ..., field: value, ...}`` with tuples as lists."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {"name": self.name} | {f.name: plain(getattr(self, f.name)) for f in fields}

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Build the spec from the fields of ``to_dict``."""
        return cls(**{key: _tuples(value) for key, value in fields.items()})


def plain(value: Any) -> Any:
    """Return ``value`` with registered specs and tuples turned into JSON values."""
    if isinstance(value, Registered):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


T = TypeVar("T", bound=Registered)


def find(name: str, classes: Iterable[type[T]], *, kind: str) -> type[T]:
    """Return the class registered under ``name``; InputError with the nearest name otherwise."""
    table = {cls.name: cls for cls in classes}
    if name not in table:
        raise InputError(f"{kind} must be a known name, got '{name}'; {nearest(name, table)}")
    return table[name]


def from_dict(data: Mapping[str, Any], classes: Iterable[type[T]], *, kind: str) -> T:
    """Build the registered spec that ``to_dict`` described."""
    cls = find(str(data["name"]), classes, kind=kind)
    return cls.from_fields({key: value for key, value in data.items() if key != "name"})
