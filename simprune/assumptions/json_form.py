"""Findings as plain JSON values (README, "Does the theory apply to my network?")."""

from typing import Any

from simprune.analysis.json_form import plain
from simprune.assumptions.findings import Findings

FORMAT = "simprune-assumptions/1"


def to_json(found: Findings) -> dict[str, Any]:
    """Return a JSON object: fields by name, NaN and infinite numbers as null."""
    return {"format": FORMAT} | dict(plain(found))
