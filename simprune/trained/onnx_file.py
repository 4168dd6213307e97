"""ONNX files: protobuf bytes to nodes and tensors, every size and place checked before numbers are touched.

Needs the package ``onnx`` (extra ``[onnx]``), for its protobuf classes only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.files import checked_file, mapped_bytes

Array = npt.NDArray[Any]
MAX_BYTES = (1 << 31) - 1
MAX_NODES = 100_000
OLDEST_OPSET = 7
_TYPES: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype("<f4"),
    "DOUBLE": np.dtype("<f8"),
    "FLOAT16": np.dtype("<f2"),
    "BFLOAT16": np.dtype("<u2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "BOOL": np.dtype("?"),
}
_FIELDS = {
    "FLOAT": "float_data",
    "DOUBLE": "double_data",
    "INT64": "int64_data",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnnxFile:
    """A parsed model with its tensors (initialisers and outputs of Constant nodes) and the other nodes."""

    path: Path
    model: Any
    tensors: Mapping[str, Any]
    nodes: tuple[Any, ...]
    input: Any
    output: str

    def array(self, name: str) -> Array:
        """Return a tensor; numbers in the file itself are not copied, external ones are mapped."""
        return tensor_array(self.tensors[name], self.path)


def onnx_package() -> Any:
    """Return the package ``onnx``; InputError if it is not installed."""
    try:
        import onnx
    except ImportError:
        raise InputError("ONNX files need the package onnx, got none installed; pip install 'simprune[onnx]'") from None
    return onnx


def open_onnx(path: str | Path) -> OnnxFile:
    """Return the graph of a file with one input and one output; InputError says what is wrong with it."""
    path = checked_file(path, most_bytes=MAX_BYTES)
    model = _parsed(path)
    graph = model.graph
    if len(graph.node) > MAX_NODES:
        raise InputError(f"{path} must have at most {MAX_NODES} nodes, got {len(graph.node)}; export a smaller network")
    if graph.sparse_initializer or model.functions:
        what = "sparse initialisers" if graph.sparse_initializer else f"the function '{model.functions[0].name}'"
        raise InputError(f"{path} must hold plain nodes and tensors, got {what}; export it without")
    _check_opset(model, path)
    tensors = _tensors(graph, path)
    inputs = [i for i in graph.input if i.name not in tensors]
    for kind, found in (("input", inputs), ("output", list(graph.output))):
        if len(found) != 1:
            names = ", ".join(value.name for value in found[:5]) or "none"
            raise InputError(f"{path} must have one {kind}, got {names}; export the part between one input and one output")
    nodes = tuple(node for node in graph.node if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"))
    _check_producers(nodes, {*tensors, inputs[0].name}, path)
    return OnnxFile(path=path, model=model, tensors=tensors, nodes=nodes, input=inputs[0], output=graph.output[0].name)


def stored_tensors(path: str | Path) -> dict[str, Array]:
    """Return every tensor of floats of a file by its name, whatever its nodes are."""
    path = checked_file(path, most_bytes=MAX_BYTES)
    tensors = _tensors(_parsed(path).graph, path)
    kinds = onnx_package().TensorProto.DataType
    floats = ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16")
    wanted = {name: t for name, t in tensors.items() if t.data_type in kinds.values() and kinds.Name(t.data_type) in floats}
    return {name: tensor_array(tensor, path) for name, tensor in wanted.items()}


def node_label(node: Any) -> str:
    """Return how sentences call a node."""
    return f"node '{node.name or (node.output[0] if node.output else '')}' ({node.op_type})"


def tensor_array(tensor: Any, path: Path) -> Array:
    """Return the numbers of a tensor: float32 and float64 as views, half precision exactly as float32."""
    kinds = onnx_package().TensorProto.DataType
    kind = kinds.Name(tensor.data_type) if tensor.data_type in kinds.values() else str(tensor.data_type)
    if kind not in _TYPES:
        raise InputError(f"tensor '{tensor.name}' of {path} must be of one of {', '.join(_TYPES)}, got {kind}; convert it")
    shape, dtype = tuple(tensor.dims), _TYPES[kind]
    if any(n < 0 for n in shape):
        raise InputError(f"tensor '{tensor.name}' of {path} must have a shape, got {list(shape)}; write the file anew")
    if tensor.data_location == 1:
        flat = _external(tensor, math.prod(shape) * dtype.itemsize, path).view(dtype)
    elif tensor.HasField("raw_data"):
        _check_size(tensor, len(tensor.raw_data), math.prod(shape) * dtype.itemsize, path)
        flat = np.frombuffer(tensor.raw_data, dtype=dtype)
    else:
        values = getattr(tensor, _FIELDS.get(kind, "int32_data"))
        _check_size(tensor, len(values) * dtype.itemsize, math.prod(shape) * dtype.itemsize, path)
        flat = _listed(values, kind)
    if kind == "BFLOAT16":
        return (flat.astype(np.uint32) << 16).view(np.float32).reshape(shape)
    return (flat.astype(np.float32) if kind == "FLOAT16" else flat).reshape(shape)


def _listed(values: Any, kind: str) -> Array:
    if kind in ("FLOAT16", "BFLOAT16"):
        bits = np.array(values, dtype=np.int64).astype(np.uint16)
        return bits.view(_TYPES[kind])
    return np.array(values, dtype=_TYPES[kind])


def _check_size(tensor: Any, got: int, wanted: int, path: Path) -> None:
    if got != wanted:
        raise InputError(
            f"tensor '{tensor.name}' of {path} must hold the {wanted} bytes that its shape {list(tensor.dims)} promises, "
            f"got {got}; write the file anew"
        )


def _external(tensor: Any, wanted: int, path: Path) -> Array:
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = fields.get("location", ""), path.parent.resolve()
    place = Path(location)
    target = None if not location or "\0" in location or place.is_absolute() else (folder / place).resolve()
    if target is None or not target.is_relative_to(folder) or target == folder:
        raise InputError(
            f"external numbers of tensor '{tensor.name}' of {path} must lie in the folder of the file, got '{location}'; "
            "nothing outside it is read"
        )
    try:
        offset, length = int(fields.get("offset", "0")), int(fields.get("length", str(wanted)))
    except ValueError:
        raise InputError(f"offset and length of tensor '{tensor.name}' of {path} must be whole numbers; mend them") from None
    _check_size(tensor, length, wanted, path)
    data = mapped_bytes(checked_file(target))
    if not 0 <= offset <= offset + length <= len(data):
        raise InputError(
            f"external numbers of tensor '{tensor.name}' of {path} must lie within {target.name}, got bytes {offset} to "
            f"{offset + length} of {len(data)}; copy that file again"
        )
    return data[offset : offset + length]


def _parsed(path: Path) -> Any:
    onnx = onnx_package()
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise InputError(f"{path} must be an ONNX file, got bytes that cannot be parsed ({error}); write it anew") from None
    if not model.HasField("graph"):
        raise InputError(f"{path} must be an ONNX model with a graph, got none; export it anew")
    return model


def _check_opset(model: Any, path: Path) -> None:
    newest = onnx_package().defs.onnx_opset_version()
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or not OLDEST_OPSET <= versions[0] <= newest:
        got = f"{versions[0]}" if versions else "none"
        raise InputError(f"{path} must use one ONNX operator set, {OLDEST_OPSET} to {newest}, got {got}; export it anew")


def _tensors(graph: Any, path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    constants = [node for node in graph.node if node.op_type == "Constant" and len(node.output) == 1]
    values = [(node.output[0], a.t) for node in constants for a in node.attribute if a.name == "value"]
    for name, tensor in [*((t.name, t) for t in graph.initializer), *values]:
        if name in found:
            raise InputError(f"{path} must hold each tensor once, got '{name}' twice; export it anew")
        found[name] = tensor
    return found


def _check_producers(nodes: tuple[Any, ...], known: set[str], path: Path) -> None:
    made: set[str] = set(known)
    for node in nodes:
        for name in filter(None, node.output):
            if name in made:
                raise InputError(f"{path} must compute each value once, got '{name}' again by {node_label(node)}; mend it")
            made.add(name)
