"""The record of a run: which points, how many trials, and what made them. ``run.json`` and the root of a packed file."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.rng import canonical_json
from simprune.store.errors import DamagedResults
from simprune.store.plain import read_text
from simprune.store.provenance import continued

FILE = "run.json"
FILETYPE = "simprune results"
FORMAT_VERSION = "1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A design as it is stored; ``networks`` maps the SHA-256 of fixed targets to where they came from."""

    fingerprint: str
    points: tuple[Point, ...]
    digests: tuple[str, ...]
    trials: int
    name: str
    epsilons: tuple[float, ...]
    delta: float
    text: str
    networks: Mapping[str, str]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.points or len(self.points) != len(self.digests) or len(set(self.digests)) != len(self.digests):
            raise ValueError("every point must have one digest of its own")


def record_of(design: Design, *, provenance: Mapping[str, Any]) -> RunRecord:
    """Return the record of a design that starts now."""
    points = design.points()
    return RunRecord(
        fingerprint=design.fingerprint(),
        points=points,
        digests=tuple(point.digest() for point in points),
        trials=design.trials,
        name=design.name,
        epsilons=design.epsilons,
        delta=design.delta,
        text=design.text,
        networks={sha256: network.origin for sha256, network in design.networks.items()},
        provenance=dict(provenance),
    )


def continue_record(old: RunRecord, new: RunRecord) -> RunRecord:
    """Return the record after the same points were asked for again: newer labels, never fewer trials."""
    trials = max(old.trials, new.trials)
    return replace(new, trials=trials, provenance=continued(old.provenance, new.provenance))


def to_json(record: RunRecord) -> str:
    """Return the text of ``run.json``."""
    pairs = zip(record.digests, record.points, strict=True)
    plain = {
        "filetype": FILETYPE,
        "format_version": FORMAT_VERSION,
        "fingerprint": record.fingerprint,
        "name": record.name,
        "trials": record.trials,
        "epsilons": list(record.epsilons),
        "delta": record.delta,
        "provenance": dict(record.provenance),
        "networks": dict(record.networks),
        "points": [{"digest": digest, "point": point.to_dict()} for digest, point in pairs],
        "text": record.text,
    }
    plain = json.loads(json.dumps(plain, default=str))
    return json.dumps({**plain, "crc32": _checksum(plain)}, indent=1)


def from_json(text: str | bytes, *, origin: str) -> RunRecord:
    """Read what ``to_json`` wrote."""
    try:
        plain = json.loads(text)
        require_format(plain.get("filetype"), plain.get("format_version"), origin=origin)
        if plain.pop("crc32") != _checksum(plain):
            raise ValueError("its checksum does not match")
        return RunRecord(
            fingerprint=str(plain["fingerprint"]),
            points=tuple(Point.from_dict(p["point"]) for p in plain["points"]),
            digests=tuple(str(p["digest"]) for p in plain["points"]),
            trials=int(plain["trials"]),
            name=str(plain["name"]),
            epsilons=tuple(float(e) for e in plain["epsilons"]),
            delta=float(plain["delta"]),
            text=str(plain["text"]),
            networks=dict(plain["networks"]),
            provenance=dict(plain["provenance"]),
        )
    except DamagedResults:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedResults(
            f"{origin} must describe a run, but it cannot be understood ({type(error).__name__}: {error}); "
            "restore the file or choose another folder"
        ) from error


def _checksum(plain: Mapping[str, Any]) -> int:
    return zlib.crc32(canonical_json(plain))


def require_format(filetype: object, version: object, *, origin: str) -> None:
    """Refuse files that are something else or of a newer major format version."""
    if filetype != FILETYPE:
        raise DamagedResults(f"{origin} must be of the type '{FILETYPE}', got '{filetype}'; give the path of results")
    major = str(version).partition(".")[0]
    if not major.isdigit() or int(major) > int(FORMAT_VERSION.partition(".")[0]):
        raise DamagedResults(
            f"{origin} must have format version {FORMAT_VERSION} or older, got {version}; install a newer simprune"
        )


def read(folder: Path) -> RunRecord | None:
    """Return the record of a results folder, None if it has none."""
    path = folder / FILE
    text = read_text(path)
    return None if text is None else from_json(text, origin=str(path))
