"""Design files: TOML -> Design."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simprune.design.design import Design
from simprune.design.expand import expand
from simprune.design.mistakes import all_wrong, mistakes, not_finite
from simprune.design.resolved import resolved_text
from simprune.design.schema import DesignTable
from simprune.model.errors import InputError

MAX_FILE_BYTES = 1 << 16
MAX_LINE_LENGTH = 1 << 13


def load_design(path: str | Path) -> Design:
    """Return the design of a TOML file; one InputError tells all that is wrong with it."""
    path = Path(path)
    return parse_design(_read(path), path=path)


def parse_design(text: str, *, path: Path) -> Design:
    """Return the design of a TOML text; network files are looked up beside ``path``."""
    data = _parse_toml(text, path)
    wrong = list(not_finite(data))
    if wrong:
        raise all_wrong(path, wrong)
    try:
        table = DesignTable.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        raise all_wrong(path, mistakes(error, data)) from None
    points, wrong = expand(table)
    if wrong:
        raise all_wrong(path, wrong)
    name = table.name or path.stem
    files = [entry.file.network for entry in table.networks if entry.file]
    return Design(
        cells=tuple(points),
        trials=table.trials,
        name=name,
        epsilons=tuple(table.analysis.epsilon),
        delta=table.analysis.delta,
        networks={network.sha256: network for network in files},
        text=resolved_text(table, name),
        stopping=table.stopping.rule() if table.stopping else None,
        cluster=table.cluster.cluster(),
    )


def _read(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"a design must be a TOML file, got the folder {path}; name the file in it")
    if not path.exists():
        raise InputError(f"the design file must exist, got {path}; check the path, or write one with 'simprune init'")
    with path.open("rb") as file:
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise InputError(f"a design file must have at most {MAX_FILE_BYTES >> 10} KiB, got more in {path}; split the study")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8 text, got byte {error.start} that is not; save it as UTF-8") from None


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > MAX_LINE_LENGTH:
            raise InputError(f"{path}: line {number} must have at most {MAX_LINE_LENGTH} bytes, got {len(line)}; break it")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path} must nest a few levels at most, got too many; a design needs four") from None
    except ValueError as error:
        raise InputError(f"{path} must be valid TOML, got: {error}; mend it there") from None
