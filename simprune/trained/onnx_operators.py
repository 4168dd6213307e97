"""What each supported ONNX operator adds to a chain (operator sets 7 and later, inference)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.activations import AbstractActivation, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.errors import InputError
from simprune.model.layers import (
    AbstractLayer,
    AveragePool,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool,
)
from simprune.trained.onnx_node import (
    Current,
    WeightSource,
    attribute,
    check_first,
    constant,
    floats,
    image_shape,
    needed,
    padding,
    pair,
)

Array = npt.NDArray[Any]


def gemm(node: Any, current: Current) -> None:
    """alpha x B + beta C with stored B and C."""
    check_first(node, current)
    if attribute(node, "transA", 0):
        raise InputError("transA must be 0")
    transposed = not attribute(node, "transB", 0)
    alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    bias = constant(node, current, 2)
    _dense(
        node,
        current,
        1,
        transposed=transposed,
        factor=alpha,
        bias=bias if bias is None or beta == 1.0 else bias * float(beta),
    )


def matmul(node: Any, current: Current) -> None:
    """x B with stored B, or A x on inputs without a batch axis."""
    left = len(node.input) == 2 and node.input[1] == current.value
    if left and current.batched:
        raise InputError("the stored matrix must be its second operand")
    _dense(node, current, 0 if left else 1, transposed=not left)


def _dense(
    node: Any, current: Current, at: int, *, transposed: bool, factor: float = 1.0, bias: Array | None = None
) -> None:
    stored = floats(needed(node, current, at))
    if stored.ndim != 2:
        raise InputError(f"its matrix must have two axes, got shape {list(stored.shape)}")
    weight = np.ascontiguousarray(stored.T) if transposed else stored
    weight = weight if factor == 1.0 else weight * np.float64(factor)
    if bias is not None:
        bias = _spread(floats(bias), (weight.shape[0],))
    current.builder.weighted(Dense(width=weight.shape[0]), weight, bias)
    current.sources.append(WeightSource(tensor=node.input[at], transposed=transposed))


def conv(node: Any, current: Current) -> None:
    """A convolution with equal padding on both sides."""
    check_first(node, current)
    weight = floats(needed(node, current, 1))
    if weight.ndim == 3:
        weight = weight[:, :, None, :]
    if weight.ndim != 4 or len(current.builder.shape) != 3:
        raise InputError(f"its kernel must have 3 or 4 axes and its input channels, got shape {list(weight.shape)}")
    shape = current.builder.shape
    kernel, stride = (weight.shape[2], weight.shape[3]), pair(attribute(node, "strides", [1, 1]))
    if any(d != 1 for d in attribute(node, "dilations", [1])):
        raise InputError("dilations must be 1")
    layer = Conv2d(
        channels=weight.shape[0],
        kernel=kernel,
        stride=stride,
        padding=padding(node, shape[1:], kernel, stride),
        groups=int(attribute(node, "group", 1)),
    )
    bias = constant(node, current, 2)
    current.builder.weighted(layer, weight, None if bias is None else floats(bias))
    current.sources.append(WeightSource(tensor=node.input[1]))


def batch_normalisation(node: Any, current: Current) -> None:
    """Gamma (x - mean) / sqrt(variance + epsilon) + beta, in float64."""
    check_first(node, current)
    if attribute(node, "training_mode", 0):
        raise InputError("training_mode must be 0")
    gamma, beta, mean, variance = (needed(node, current, at).astype(np.float64) for at in range(1, 5))
    sizes = {a.shape for a in (gamma, beta, mean, variance)}
    if sizes != {current.builder.shape[:1]}:
        raise InputError(f"its four tensors must have shape {list(current.builder.shape[:1])}")
    square = variance + float(attribute(node, "epsilon", 1e-5))
    if not (square > 0.0).all():
        raise InputError("variance + epsilon must be positive")
    scale = gamma / np.sqrt(square)
    shape = current.builder.shape
    values = (a.reshape(-1, *(1,) * (len(shape) - 1)) for a in (scale, beta - mean * scale))
    current.builder.affine(*(np.broadcast_to(a, shape) for a in values))


def arithmetic(node: Any, current: Current) -> None:
    """Add, Sub, Mul or Div with a stored operand."""
    if len(node.input) != 2:
        raise InputError(f"it must have two operands, got {len(node.input)}")
    first = node.input[0] == current.value
    other = _of_shape(floats(needed(node, current, 1 if first else 0)), current)
    if node.op_type == "Add":
        current.builder.affine(None, other)
    elif node.op_type == "Sub":
        current.builder.affine(None if first else np.full(other.shape, -1.0), -other if first else other)
    elif node.op_type == "Mul":
        current.builder.affine(other.astype(np.float64), None)
    elif first and np.all(other != 0.0):
        current.builder.affine(1.0 / other.astype(np.float64), None)
    else:
        raise InputError("it must divide by stored numbers other than 0")


def activation(node: Any, current: Current) -> None:
    """Relu, LeakyRelu, Tanh or Sigmoid."""
    check_first(node, current)
    if node.op_type == "LeakyRelu":
        current.builder.activation(LeakyReLU(slope=float(attribute(node, "alpha", float(np.float32(0.01))))))
    else:
        kinds: dict[str, AbstractActivation] = {"Relu": ReLU(), "Tanh": Tanh(), "Sigmoid": Sigmoid()}
        current.builder.activation(kinds[node.op_type])


def pool(node: Any, current: Current) -> None:
    """MaxPool and AveragePool without padding and dilation."""
    check_first(node, current)
    shape = image_shape(current)
    size = attribute(node, "kernel_shape", [])
    kernel = pair(size, fill=1)
    stride = pair(attribute(node, "strides", [1] * len(size)), fill=1)
    if any(padding(node, shape[1:], kernel, stride)) or any(d != 1 for d in attribute(node, "dilations", [1])):
        raise InputError("pooling must have no padding and no dilation")
    if attribute(node, "ceil_mode", 0) and any((n - k) % s for n, k, s in zip(shape[1:], kernel, stride, strict=True)):
        raise InputError("ceil_mode must be 0 where windows do not fit")
    cls = MaxPool if node.op_type == "MaxPool" else AveragePool
    current.builder.unweighted(cls(kernel=kernel, stride=stride))


def global_pool(node: Any, current: Current) -> None:
    """GlobalAveragePool and GlobalMaxPool, and ReduceMean and ReduceMax over rows and columns."""
    check_first(node, current)
    image_shape(current)
    layer: AbstractLayer = GlobalMaxPool() if node.op_type.endswith(("MaxPool", "Max")) else GlobalAveragePool()
    flat = False
    if node.op_type.startswith("Reduce"):
        stored = constant(node, current, 1)
        axes = attribute(node, "axes", []) if stored is None else stored.ravel().tolist()
        wanted = [2] if current.is_signal else [2, 3]
        if sorted(a % (wanted[-1] + 1) for a in axes) != wanted:
            raise InputError(f"axes must be those of rows and columns, {wanted}, got {axes}")
        flat = not attribute(node, "keepdims", 1)
    current.builder.unweighted(layer)
    if flat:
        current.builder.unweighted(Flatten())


def flatten(node: Any, current: Current) -> None:
    """Flatten behind the batch axis."""
    check_first(node, current)
    axis = int(attribute(node, "axis", 1))
    if axis != 1 or not current.batched:
        raise InputError(f"axis must be 1, behind the batch axis, got {axis}")
    if len(current.builder.shape) > 1:
        current.builder.unweighted(Flatten())


def reshape(node: Any, current: Current) -> None:
    """Reshape that flattens, changes nothing, or makes an image of the input."""
    check_first(node, current)
    wanted = [int(n) for n in needed(node, current, 1).ravel().tolist()]
    shape = current.builder.shape
    size, own = math.prod(shape), wanted[1:] if current.batched else wanted
    if own.count(-1) == 1:
        known = math.prod(n for n in own if n != -1)
        own = [size // known if n == -1 and known > 0 else n for n in own]
    own = [shape[i] if n == 0 and i < len(shape) else n for i, n in enumerate(own)]
    if not own or any(n < 1 for n in own) or math.prod(own) != size or (current.batched and wanted[0] not in (-1, 0, 1)):
        raise InputError(f"the new shape must keep the batch axis and the {size} numbers behind it, got {wanted}")
    if len(own) == 1:
        if len(shape) > 1:
            current.builder.unweighted(Flatten())
    elif tuple(own) != shape:
        if len(own) != 3 or len(shape) != 1:
            raise InputError(f"it must flatten, or make an image of the input, got {list(shape)} to {own}")
        current.builder.reshape_input((own[0], own[1], own[2]))


def unchanged(node: Any, current: Current) -> None:
    """Identity, and Dropout at inference."""
    check_first(node, current)
    if node.op_type == "Dropout" and (mode := constant(node, current, 2)) is not None and mode.any():
        raise InputError("training_mode must be false")


OPERATORS: Mapping[str, Callable[[Any, Current], None]] = {
    "Gemm": gemm,
    "MatMul": matmul,
    "Conv": conv,
    "BatchNormalization": batch_normalisation,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), arithmetic),
    **dict.fromkeys(("Relu", "LeakyRelu", "Tanh", "Sigmoid"), activation),
    **dict.fromkeys(("MaxPool", "AveragePool"), pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean"), global_pool),
    "Flatten": flatten,
    "Reshape": reshape,
    **dict.fromkeys(("Identity", "Dropout"), unchanged),
}


def _spread(array: Array, shape: tuple[int, ...]) -> Array:
    try:
        return np.ascontiguousarray(np.broadcast_to(array.reshape(-1) if array.size == math.prod(shape) else array, shape))
    except ValueError:
        raise InputError(f"its operand must have shape {list(shape)}, got {list(array.shape)}") from None


def _of_shape(array: Array, current: Current) -> Array:
    shape = current.builder.shape
    full = (1, *shape) if current.batched else shape
    if current.is_signal and len(shape) == 3:
        full = (1, shape[0], shape[2])
    try:
        whole = np.broadcast_to(array, full)
    except ValueError:
        raise InputError(f"its operand must fit shape {list(full)}, got {list(array.shape)}") from None
    return whole.reshape(shape)
