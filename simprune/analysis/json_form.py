"""Summaries and comparisons as plain JSON values (README, "Analysis as JSON")."""

import dataclasses
import json
import math
from typing import Any

from simprune.analysis.comparison import Comparison
from simprune.analysis.estimates import Refused
from simprune.analysis.summary import Summary
from simprune.design.point import Point

FORMATS = {Summary: "simprune-analysis/1", Comparison: "simprune-comparison/1"}


def to_json(found: Summary | Comparison) -> dict[str, Any]:
    """Return a JSON object: fields by name, refusals as ``{"refused", "needed"}``, NaN and inf as null."""
    fields = plain(found)
    assert isinstance(fields, dict)
    return {"format": FORMATS[type(found)]} | fields


def to_text(found: Summary | Comparison) -> str:
    """Return the JSON text of a summary or a comparison, indented."""
    return json.dumps(to_json(found), indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Return dataclasses as objects, refusals as ``{"refused", "needed"}``, NaN and inf as None."""
    if isinstance(value, Point):
        return value.to_dict()
    if isinstance(value, Refused):
        return {"refused": value.reason, "needed": value.needed}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
