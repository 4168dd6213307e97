"""ONNX graphs that are chains -> networks: Gemm, MatMul and Add, Conv, activations, pooling, normalisation at inference."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simprune.model.errors import InputError
from simprune.model.layers import Shape
from simprune.trained.chain_builder import ChainBuilder
from simprune.trained.network import TrainedNetwork
from simprune.trained.onnx_file import OnnxFile, node_label, open_onnx
from simprune.trained.onnx_node import Current, WeightSource
from simprune.trained.onnx_operators import OPERATORS

MAX_INPUTS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxNetwork:
    """A network, and for each of its weighted layers the tensor of the file that holds its weights."""

    file: OnnxFile
    network: TrainedNetwork
    sources: tuple[WeightSource, ...]


def read_onnx(path: str | Path) -> TrainedNetwork:
    """Return the network of a file whose graph is a chain of supported nodes; InputError names the node that is not."""
    return read_onnx_network(path).network


def read_onnx_network(path: str | Path) -> OnnxNetwork:
    """Return the network of a file with the places of its weights."""
    file = open_onnx(path)
    readers = _readers(file)
    shape, n_axes = _input_shape(file)
    current = Current(
        builder=ChainBuilder(shape=shape), file=file, value=file.input.name, batched=n_axes > 1, is_signal=n_axes == 3
    )
    for _ in range(len(file.nodes)):
        if current.value == file.output:
            break
        _apply(_next_node(current.value, readers, file), current)
    if current.value != file.output:
        raise InputError(
            f"{path} must compute its output from its input, got a graph in which they are not joined; export anew"
        )
    if len(current.visited) < len(file.nodes):
        idle = next(node for node in file.nodes if not any(node is v for v in current.visited))
        raise InputError(f"{path} must be one chain of nodes, got {node_label(idle)} outside it; remove it")
    network = current.builder.network(origin=str(path))
    return OnnxNetwork(file=file, network=network, sources=tuple(current.sources))


def _apply(node: Any, current: Current) -> None:
    operator: Callable[[Any, Current], None] | None = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    where = f"{node_label(node)} of {current.file.path}"
    if operator is None:
        raise InputError(f"{where} must be one of {', '.join(sorted(OPERATORS))}, got another; leave it out of the export")
    try:
        operator(node, current)
    except InputError as error:
        raise InputError(f"{where} cannot be read: {error}") from None
    current.visited.append(node)
    current.value = node.output[0] if node.output else ""


def _readers(file: OnnxFile) -> Mapping[str, Sequence[Any]]:
    readers: dict[str, list[Any]] = {}
    for node in file.nodes:
        for name in {n for n in node.input if n and n not in file.tensors}:
            readers.setdefault(name, []).append(node)
    return readers


def _next_node(value: str, readers: Mapping[str, Sequence[Any]], file: OnnxFile) -> Any:
    found = readers.get(value, ())
    if len(found) != 1:
        who = " and ".join(node_label(node) for node in found[:3]) or "no node"
        raise InputError(f"{file.path} must be one chain of nodes, got {who} reading '{value}'; branches are not supported")
    return found[0]


def _input_shape(file: OnnxFile) -> tuple[Shape, int]:
    tensor = file.input.type.tensor_type
    dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
    own = dims[1:] if len(dims) > 1 else dims
    known = [n for n in own if n is not None and n >= 1]
    if not own or len(known) < len(own) or len(dims) > 4 or math.prod(known) > MAX_INPUTS:
        shown = [n if n is not None else "?" for n in dims]
        raise InputError(
            f"the input '{file.input.name}' of {file.path} must have a known shape [batch, features] or [batch, channels, "
            f"height, width] of at most {MAX_INPUTS} numbers, got {shown}; export it with fixed sizes"
        )
    sizes = (known[0], 1, known[1]) if len(known) == 2 else tuple(known)
    return sizes, len(dims)
