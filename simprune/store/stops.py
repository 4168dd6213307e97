"""Why each point of an adaptive run has as many trials as it has."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from simprune.store.errors import DamagedResults
from simprune.store.plain import read_text

FILE = "stops.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The point of this digest needs no more than ``trials`` trials; ``reason`` is a sentence.

    ``low``, ``high``: the interval of the watched quantity at that number (confidence sequence of the rule).
    """

    digest: str
    trials: int
    low: float
    high: float
    reason: str


def to_json(stops: Sequence[Stop]) -> bytes:
    """Return the text of ``stops.json``."""
    return json.dumps([_plain(stop) for stop in stops], indent=1).encode()


def _plain(stop: Stop) -> dict[str, Any]:
    """JSON has no infinity: the ends of an unbounded interval are null."""
    return {key: value if not isinstance(value, float) or isfinite(value) else None for key, value in asdict(stop).items()}


def from_json(text: bytes, *, origin: str) -> tuple[Stop, ...]:
    """Read the text of ``stops.json``."""
    try:
        return tuple(
            Stop(
                digest=str(row["digest"]),
                trials=int(row["trials"]),
                low=-inf if row["low"] is None else float(row["low"]),
                high=inf if row["high"] is None else float(row["high"]),
                reason=str(row["reason"]),
            )
            for row in json.loads(text)
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedResults(f"{origin} must list stopped points as JSON, got {error}; delete the file") from error


def read(folder: Path) -> tuple[Stop, ...]:
    """Return the stops that a folder lists, none if it has no such file."""
    path = folder / FILE
    text = read_text(path)
    return () if text is None else from_json(text, origin=str(path))
