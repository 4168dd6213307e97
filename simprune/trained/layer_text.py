"""Layers and activation of a trained network as JSON text, as ``.npz`` files keep them.

``{"input": [1, 8, 8], "layers": [{"name": "conv2d", "channels": 8, "kernel": [3, 3]}, {"name": "flatten"},
{"name": "dense", "width": 10}], "activation": {"name": "relu"}}``; keys with defaults may be left out.
"""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, TypeVar

from simprune.model.activations import ACTIVATIONS, AbstractActivation
from simprune.model.chain import Chain
from simprune.model.errors import InputError, nearest
from simprune.model.layers import LAYERS
from simprune.model.registry import Registered, find, from_dict
from simprune.trained.network import TrainedNetwork

T = TypeVar("T", bound=Registered)
MAX_LAYERS = 1000


def layer_text(network: TrainedNetwork) -> str | None:
    """Return the text of a network, None for a fully connected one without a known activation."""
    if network.chain is None and network.activation is None:
        return None
    described = network.layers.to_dict()
    if network.activation is not None:
        described["activation"] = network.activation.to_dict()
    return json.dumps(described)


def parse_layer_text(text: str, *, origin: str) -> tuple[Chain, AbstractActivation | None]:
    """Return what ``layer_text`` wrote; InputError tells what is wrong with it."""

    def refuse(reason: str) -> InputError:
        return InputError(f'"layers" of {origin} must be JSON like {{"input": [...], "layers": [...]}}: {reason}')

    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refuse(f"got text that cannot be parsed ({error}); write it anew") from None
    if not isinstance(data, dict) or not isinstance(data.get("layers"), list) or not isinstance(data.get("input"), list):
        raise refuse("got no object with the lists input and layers; add them")
    if unknown := set(data) - {"input", "layers", "activation"}:
        raise refuse(f"got the unknown key '{min(unknown)}'; remove it")
    if len(data["layers"]) > MAX_LAYERS:
        raise refuse(f"got more than {MAX_LAYERS} layers; take a smaller network")
    try:
        layers = tuple(_spec(entry, LAYERS, kind="layer") for entry in data["layers"])
        chain = Chain(input=tuple(data["input"]), layers=layers)
        activation = _spec(data["activation"], ACTIVATIONS, kind="activation") if "activation" in data else None
    except InputError as error:
        raise refuse(str(error)) from None
    return chain, activation


def _spec(entry: Any, classes: Iterable[type[T]], *, kind: str) -> T:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InputError(f"the {kind} must be an object with a name, got {entry!r:.60}; mend it")
    cls: Any = find(entry["name"], classes, kind=kind)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key, value in entry.items():
        if key != "name" and key not in fields:
            raise InputError(f"{entry['name']} must have known keys, got '{key}'; {nearest(key, fields) if fields else ''}")
        if kind == "activation" and key != "name" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"{key} of {entry['name']} must be a number, got {value!r:.60}; mend it")
    missing = [n for n, f in fields.items() if f.default is dataclasses.MISSING and n not in entry]
    if missing:
        raise InputError(f"{entry['name']} must have the key '{missing[0]}', got {sorted(entry)}; add it")
    return from_dict(entry, classes, kind=kind)
