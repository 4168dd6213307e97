"""A design as TOML text with every default written out: what results keep of their design."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from simprune.design.layer_values import short_form
from simprune.design.schema import DesignTable, NetworkTable
from simprune.design.values import NetworkFile
from simprune.model.registry import Registered


def resolved_text(table: DesignTable, name: str) -> str:
    """Return the TOML text of a design; loading it again gives the same points."""
    head = {"name": name, "seed": table.seed, "trials": table.trials, "precision": table.precision}
    blocks = [_lines(head)]
    blocks += [["[[networks]]", *_network_lines(entry)] for entry in table.networks]
    blocks += [["[[rules]]", *_lines(dict(entry))] for entry in table.rules]
    for estimator in table.estimators:
        fields = estimator.to_dict()
        blocks.append([f"[estimators.{fields.pop('name')}]", *_lines(fields)])
    blocks.append(["[analysis]", *_lines({"epsilon": table.analysis.epsilon or None, "delta": table.analysis.delta})])
    if table.stopping:
        blocks.append(["[stopping]", *_lines(table.stopping.model_dump())])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _network_lines(entry: NetworkTable) -> Iterator[str]:
    values: dict[str, Any] = dict(entry)
    if entry.file:
        yield f"# weights: sha256 {entry.file.network.sha256}"
        values["widths"] = list(entry.file.network.widths) if entry.file.network.chain is None else None
    else:
        values["layers"] = [short_form(layer) for layer in entry.layers] if entry.layers else None
        values |= {"distribution": entry.distribution or ["uniform"], "K": entry.K or [1.0]}
    values["activation"] = entry.activations
    yield from _lines(values)


def _lines(values: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_literal(value)}" for key, value in values.items() if value is not None]


def _literal(value: Any) -> str:
    if isinstance(value, NetworkFile):
        return _literal(value.written)
    if isinstance(value, Registered):
        return _literal(value.to_dict())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
