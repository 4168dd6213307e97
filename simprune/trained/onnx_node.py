"""A node of an ONNX graph and the place in the chain that it is added at: its attributes, its stored operands."""

from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.chain_builder import ChainBuilder
from simprune.trained.onnx_file import OnnxFile

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSource:
    """The tensor that holds a layer's weights, and whether it holds them transposed."""

    tensor: str
    transposed: bool = False


@dataclass(slots=True, kw_only=True)
class Current:
    """Where the walk along the chain stands: the value computed last, and what was built so far.

    ``is_signal``: images are one-dimensional signals, which have no axis for rows in the file.
    """

    builder: ChainBuilder
    file: OnnxFile
    value: str
    batched: bool
    is_signal: bool
    visited: list[Any] = field(default_factory=list)
    sources: list[WeightSource] = field(default_factory=list)


def attribute(node: Any, name: str, default: Any) -> Any:
    """Return the float, whole number, text or list of whole numbers of a node's attribute, of the kind of ``default``."""
    kinds = {float: (1, "f"), int: (2, "i"), str: (3, "s"), list: (7, "ints")}
    kind, place = kinds[type(default)]
    for found in node.attribute:
        if found.name == name:
            if found.type != kind:
                raise InputError(f"its attribute {name} must be of another kind: one like {default}")
            value = getattr(found, place)
            return value.decode(errors="replace") if kind == 3 else list(value) if kind == 7 else value
    return default


def constant(node: Any, current: Current, at: int) -> Array | None:
    """Return a stored operand of a node, None if it is left out."""
    if len(node.input) <= at or not node.input[at]:
        return None
    name = node.input[at]
    if name not in current.file.tensors:
        raise InputError(f"its operand '{name}' must be a stored tensor")
    return current.file.array(name)


def needed(node: Any, current: Current, at: int) -> Array:
    """Return a stored operand that must be there."""
    found = constant(node, current, at)
    if found is None:
        raise InputError(f"it must have at least {at + 1} operands, got {len(node.input)}")
    return found


def floats(array: Array) -> Array:
    """Refuse weights that are no floating-point numbers."""
    if array.dtype.kind != "f":
        raise InputError(f"its weights must be floats, got {array.dtype}")
    return array


def check_first(node: Any, current: Current) -> None:
    """Refuse a node whose first operand is not the value computed last."""
    if not node.input or node.input[0] != current.value:
        raise InputError(f"its first operand must be '{current.value}', the value before it")


def image_shape(current: Current) -> tuple[int, ...]:
    """Return the shape [channels, height, width] that the node gets; refuse vectors."""
    if len(current.builder.shape) != 3:
        raise InputError(f"its input must be an image [channels, height, width], got {list(current.builder.shape)}")
    return current.builder.shape


def pair(values: list[int], *, fill: int = 1) -> tuple[int, int]:
    """Return sizes for rows and columns; a signal has one row, of size ``fill``."""
    if len(values) not in (1, 2):
        raise InputError(f"sizes must be given for rows and columns, got {values}")
    return (fill, int(values[0])) if len(values) == 1 else (int(values[0]), int(values[1]))


def padding(node: Any, sizes: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns added on each side, as ``pads`` or ``auto_pad`` say."""
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, kernel, stride, strict=True)]
        if any(t % 2 for t in total):
            raise InputError("padding must be equal on both sides")
        return total[0] // 2, total[1] // 2
    pads = [int(p) for p in attribute(node, "pads", [0, 0, 0, 0])] if mode == "NOTSET" else [0, 0, 0, 0]
    pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
    if len(pads) != 4 or pads[:2] != pads[2:]:
        raise InputError(f"padding must be equal on both sides, got {pads}")
    return pads[0], pads[1]
