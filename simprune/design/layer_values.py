"""Layers of a network in a design file: short tables like ``{conv = 16, kernel = 3}`` and ``{max_pool = 2}``."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simprune.model.errors import InputError, nearest
from simprune.model.layers import (
    AbstractLayer,
    AveragePool,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
    Pair,
)

POOLS: Mapping[str, type[AveragePool] | type[MaxPool]] = {"average_pool": AveragePool, "max_pool": MaxPool}
SWITCHES: Mapping[str, type[AbstractLayer]] = {
    "global_average_pool": GlobalAveragePool,
    "global_max_pool": GlobalMaxPool,
    "flatten": Flatten,
}
EXAMPLE = "write e.g. {conv = 16, kernel = 3}, {max_pool = 2}, {flatten = true} or {dense = 10}"


def layer(value: Any) -> AbstractLayer:
    """Return the layer of a table; InputError tells what is wrong with it."""
    if not isinstance(value, dict):
        raise InputError(f"a layer must be a table, got {value!r:.60}; {EXAMPLE}")
    readers: dict[str, Callable[[dict[str, Any]], AbstractLayer]] = {"conv": _conv, "dense": _dense}
    readers |= dict.fromkeys(POOLS, _pool) | dict.fromkeys(SWITCHES, _switch)
    kinds = [key for key in value if key in readers]
    if len(kinds) != 1:
        got = " and ".join(kinds) if kinds else (", ".join(map(str, value)) or "an empty table")
        raise InputError(f"a layer must be one of {', '.join(readers)}, got {got}; {EXAMPLE}")
    return readers[kinds[0]](dict(value))


def short_form(layer: AbstractLayer) -> dict[str, Any]:
    """Return the table that ``layer`` reads.

    >>> short_form(layer({"conv": 8, "kernel": 3, "padding": "same"}))
    {'conv': 8, 'kernel': [3, 3], 'stride': [1, 1], 'padding': [1, 1], 'circular': False, 'groups': 1}
    """
    fields = layer.to_dict()
    name = fields.pop("name")
    if isinstance(layer, Conv2d):
        return {"conv": fields.pop("channels")} | fields
    if isinstance(layer, Dense):
        return {"dense": layer.width}
    return {name: fields.pop("kernel")} | fields if fields else {name: True}


def widened(layers: Sequence[AbstractLayer], factor: int) -> tuple[AbstractLayer, ...]:
    """Return the layers with ``factor`` times the channels and neurons everywhere but in the last weighted layer.

    >>> [short_form(wide) for wide in widened((Dense(width=8), Dense(width=10)), 4)]
    [{'dense': 32}, {'dense': 10}]
    """
    last = max((i for i, part in enumerate(layers) if part.is_weighted), default=0)
    return tuple(_wide(part, factor) if i != last else part for i, part in enumerate(layers))


def _wide(part: AbstractLayer, factor: int) -> AbstractLayer:
    if isinstance(part, Conv2d):
        return dataclasses.replace(part, channels=factor * part.channels)
    return dataclasses.replace(part, width=factor * part.width) if isinstance(part, Dense) else part


def _conv(table: dict[str, Any]) -> AbstractLayer:
    _known(table, ("conv", "kernel", "stride", "padding", "circular", "groups"))
    if "kernel" not in table:
        raise InputError("a convolution must have a kernel, got none; write e.g. {conv = 16, kernel = 3}")
    kernel = _pair(table["kernel"], "kernel")
    padding = table.get("padding", 0)
    if padding == "same":
        if any(k % 2 == 0 for k in kernel):
            raise InputError(f'padding = "same" must have an odd kernel, got {list(kernel)}; give numbers')
        around: Pair = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
    else:
        around = _pair(padding, "padding")
    return Conv2d(
        channels=table["conv"],
        kernel=kernel,
        stride=_pair(table.get("stride", 1), "stride"),
        padding=around,
        circular=table.get("circular", False),
        groups=table.get("groups", 1),
    )


def _dense(table: dict[str, Any]) -> AbstractLayer:
    _known(table, ("dense",))
    return Dense(width=table["dense"])


def _pool(table: dict[str, Any]) -> AbstractLayer:
    (name,) = (key for key in table if key in POOLS)
    _known(table, (name, "stride"))
    kernel = _pair(table[name], name)
    return POOLS[name](kernel=kernel, stride=_pair(table["stride"], "stride") if "stride" in table else kernel)


def _switch(table: dict[str, Any]) -> AbstractLayer:
    (name,) = (key for key in table if key in SWITCHES)
    _known(table, (name,))
    if table[name] is not True:
        raise InputError(f"{name} must be true, got {table[name]!r:.60}; remove the layer to do without it")
    return SWITCHES[name]()


def _known(table: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in table:
        if key not in keys:
            raise InputError(f"a layer with {keys[0]} must have known keys, got '{key}'; {nearest(str(key), keys)}")


def _pair(value: Any, what: str) -> Pair:
    sizes = value if isinstance(value, list) else [value, value]
    if len(sizes) != 2 or any(isinstance(size, bool) or not isinstance(size, int) for size in sizes):
        raise InputError(f"{what} must be a whole number or two of them (height, width), got {value!r:.60}; mend it")
    return sizes[0], sizes[1]
