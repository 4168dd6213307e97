"""What made the numbers: versions, machine, source."""

import importlib.metadata
import platform
import socket
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simprune.design.point import TRIAL_VERSION
from simprune.rng import SCHEME

LIBRARIES = ("simprune", "numpy", "numba", "h5py")
_PASSING = ("created", "host", "continued")


def environment() -> dict[str, Any]:
    """Return versions of everything that could change a number, with host and time."""
    found: dict[str, Any] = {
        "python_version": platform.python_version(),
        **{f"{library}_version": _version(library) for library in LIBRARIES},
        "rng_scheme": SCHEME,
        "trial_version": TRIAL_VERSION,
        "system": f"{platform.system()} {platform.machine()}",
        "host": socket.gethostname(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    sha = _git_sha(Path(__file__).resolve().parents[2])
    return found | ({"git_sha": sha} if sha else {})


def continued(first: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of a run begun as ``first`` and continued as ``now``: each differing set-up is listed once."""
    others = list(first.get("continued", []))
    if any(_lasting(now) == _lasting(known) for known in (first, *others)):
        return dict(first)
    return {**first, "continued": [*others, dict(now)]}


def _lasting(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in provenance.items() if key not in _PASSING}


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git_sha(source: Path) -> str | None:
    if not (source / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
