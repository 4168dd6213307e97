"""Networks -> ONNX files: chains of Gemm, Conv, activations, pooling and Flatten; pruned copies of files that exist."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.activations import Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.chain import Stage
from simprune.model.errors import InputError
from simprune.model.layers import AbstractLayer, AveragePool, Conv2d, Flatten, GlobalAveragePool, GlobalMaxPool, MaxPool
from simprune.trained.files import write_whole
from simprune.trained.network import TrainedNetwork
from simprune.trained.onnx_chain import OnnxNetwork
from simprune.trained.onnx_file import MAX_BYTES, onnx_package

Masks = Sequence[npt.NDArray[np.bool_]]
OPSET, IR_VERSION = 17, 8
MASK_ENDING = "_mask"
_ACTIVATIONS: dict[type, str] = {ReLU: "Relu", LeakyReLU: "LeakyRelu", Tanh: "Tanh", Sigmoid: "Sigmoid"}
_POOLS: dict[type, str] = {
    MaxPool: "MaxPool",
    AveragePool: "AveragePool",
    GlobalMaxPool: "GlobalMaxPool",
    GlobalAveragePool: "GlobalAveragePool",
}


def write_onnx(path: str | Path, network: TrainedNetwork, *, masks: Masks | None = None) -> None:
    """Write a network whose activation is known; masks (True = kept) become the tensors ``W0_mask``, ``W1_mask``, ...

    Weights keep their numbers bit for bit (float32, or float64 throughout). InputError where ONNX has no such layer.
    """
    helper, tensor = onnx_package().helper, onnx_package().numpy_helper.from_array
    kinds = {w.dtype for w in (*network.weights, *network.biases)}
    dtype = np.dtype(np.float64) if np.dtype(np.float64) in kinds else np.dtype(np.float32)
    nodes, stored, value, layer = [], [], "input", 0
    stages = network.layers.stages
    for i, stage in enumerate(stages):
        result = "output" if i == len(stages) - 1 else f"value{i}"
        operands = [value]
        if stage.layer.is_weighted:
            names = (f"W{layer}", f"b{layer}")
            arrays = (network.weights[layer].astype(dtype), network.biases[layer].astype(dtype))
            stored += [tensor(a, name) for a, name in zip(arrays, names, strict=True)]
            operands += names
            layer += 1
        nodes.append(helper.make_node(*_operator(stage), operands, [result], name=f"layer{i}", **_attributes(stage)))
        value = result
        if stage.layer.is_weighted and layer < len(network.weights) and (call := _activation(network)) is not None:
            value = f"hidden{layer}"
            nodes.append(helper.make_node(call[0], [result], [value], name=f"activation{layer}", **call[1]))
    stored += [tensor(mask, f"W{i}{MASK_ENDING}") for i, mask in enumerate(masks or ())]
    element = helper.np_dtype_to_tensor_dtype(dtype)
    ends = [
        helper.make_tensor_value_info(name, element, ["batch", *shape])
        for name, shape in (("input", network.layers.input), ("output", stages[-1].output))
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], stored)
    opset = [helper.make_opsetid("", OPSET)]
    _write(path, helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="simprune"))


def prune_onnx(source: OnnxNetwork, out: str | Path, masks: Masks) -> None:
    """Write the model again, its nodes untouched, with pruned entries 0 and the masks as ``NAME_mask`` (True = kept).

    Masks have the shape of the file's own tensors. Numbers of all tensors are in the new file itself.
    """
    helper = onnx_package().numpy_helper
    names = [place.tensor for place in source.sources]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise InputError(
            f"layers of {source.file.path} must not share weights to be pruned, got '{twice}' twice; export copies"
        )
    for tensor in source.file.tensors.values():
        if tensor.data_location == 1:
            _set(tensor, source.file.array(tensor.name))
    added = []
    for place, mask in zip(source.sources, masks, strict=True):
        weight = source.file.array(place.tensor)
        own = np.ascontiguousarray((mask.T if place.transposed else mask).reshape(weight.shape))
        _set(source.file.tensors[place.tensor], np.where(own, weight, weight.dtype.type(0)))
        added.append(helper.from_array(own, place.tensor + MASK_ENDING))
    stored = source.file.model.graph.initializer
    for at in reversed([i for i, t in enumerate(stored) if t.name in {mask.name for mask in added}]):
        del stored[at]
    stored.extend(added)
    _write(out, source.file.model)


def _set(tensor: Any, values: npt.NDArray[Any]) -> None:
    fresh = onnx_package().numpy_helper.from_array(np.ascontiguousarray(values), tensor.name)
    tensor.CopyFrom(fresh)


def _write(path: str | Path, model: Any) -> None:
    if model.ByteSize() > MAX_BYTES:
        raise InputError(f"{path} would have more than 2 GiB, which ONNX files cannot; write safetensors")
    write_whole(path, model.SerializeToString(deterministic=True))


def _operator(stage: Stage) -> tuple[str]:
    layer = stage.layer
    if isinstance(layer, Conv2d):
        if layer.circular:
            raise InputError("ONNX has no circular padding, got a convolution with it; write npz or safetensors")
        return ("Conv",)
    if isinstance(layer, Flatten):
        return ("Flatten",)
    return (_POOLS.get(type(layer), "Gemm"),)


def _attributes(stage: Stage) -> dict[str, Any]:
    layer: AbstractLayer = stage.layer
    if isinstance(layer, Conv2d):
        pads = [*layer.padding, *layer.padding]
        return {"kernel_shape": list(layer.kernel), "strides": list(layer.stride), "pads": pads, "group": layer.groups}
    if isinstance(layer, MaxPool | AveragePool):
        return {"kernel_shape": list(layer.kernel), "strides": list(layer.stride)}
    if isinstance(layer, Flatten):
        return {"axis": 1}
    return {} if isinstance(layer, GlobalAveragePool | GlobalMaxPool) else {"transB": 1}


def _activation(network: TrainedNetwork) -> tuple[str, dict[str, Any]] | None:
    activation = network.activation
    if activation is None:
        raise InputError(f"the activation of {network.origin} must be known to write ONNX, got none; name it")
    if isinstance(activation, Identity):
        return None
    name = _ACTIVATIONS.get(type(activation))
    if name is None:
        raise InputError(f"ONNX has no activation {activation.name}; write npz or safetensors")
    if isinstance(activation, LeakyReLU):
        nearest = float(np.float32(activation.slope))
        if nearest != activation.slope:
            raise InputError(f"a slope in ONNX must be a float32 number, got {activation.slope}; take {nearest!r}")
        return name, {"alpha": activation.slope}
    return name, {}
