"""ONNX models built node by node, as other programs export them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def model(nodes, tensors, shape, *, n_out=None, opset=OPSET, rng_seed=0):
    """A model with the input ``x`` of a shape; ``tensors`` maps names to shapes (normal numbers) or arrays."""
    rng = np.random.default_rng(rng_seed)
    stored = []
    for name, value in tensors.items():
        array = value if isinstance(value, np.ndarray) else rng.standard_normal(value).astype(np.float32)
        stored.append(numpy_helper.from_array(array, name))
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
        helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def chain(*steps):
    """Nodes (operator, stored operands, attributes) one behind the other, from ``x`` to ``y``."""
    nodes, value = [], "x"
    for i, (operator, operands, attributes) in enumerate(steps):
        result = "y" if i == len(steps) - 1 else f"v{i}"
        nodes.append(helper.make_node(operator, [value, *operands], [result], name=f"n{i}", **attributes))
        value = result
    return nodes


def ints(*values):
    return np.array(values, dtype=np.int64)


def positive(n):
    return np.linspace(0.5, 1.5, n).astype(np.float32)


GEMM = ("Gemm", ["A", "a"], {"transB": 1})
LAST = ("Gemm", ["B"], {})
DENSE = {"A": (6, 5), "a": (6,), "B": (6, 3)}
CONV = {"K": (4, 2, 3, 3), "k": (4,)}
NORM = {"g": positive(4), "s": (4,), "m": (4,), "v": positive(4)}
FLAT = ("Flatten", [], {})
RELU = ("Relu", [], {})

GOOD = {
    "gemm": (chain(GEMM, RELU, LAST), DENSE, [None, 5]),
    "gemm scaled": (chain(("Gemm", ["A", "a"], {"transB": 1, "alpha": 0.5, "beta": 2.0}), RELU, LAST), DENSE, [1, 5]),
    "matmul and add": (
        chain(("MatMul", ["C"], {}), ("Add", ["a"], {}), ("Tanh", [], {}), ("MatMul", ["B"], {}), ("Add", ["b"], {})),
        {"C": (5, 6), "a": (6,), "B": (6, 3), "b": (1, 3)},
        ["batch", 5],
    ),
    "normalised inputs": (
        chain(("Sub", ["p"], {}), ("Div", ["q"], {}), FLAT, GEMM, ("Sigmoid", [], {}), LAST),
        {**DENSE, "p": (1, 1, 1, 5), "q": np.full(5, 2.5, np.float32)},
        [1, 1, 1, 5],
    ),
    "scaled inputs of a convolution": (
        chain(("Mul", ["q"], {}), ("Conv", ["K", "k"], {"strides": [2, 1]}), FLAT),
        {**CONV, "q": np.array([0.5, 3.0], np.float32).reshape(2, 1, 1)},
        [1, 2, 7, 6],
    ),
    "convolutions": (
        chain(
            ("Conv", ["K", "k"], {"pads": [1, 0, 1, 0], "kernel_shape": [3, 3]}),
            ("BatchNormalization", ["g", "s", "m", "v"], {}),
            ("LeakyRelu", [], {"alpha": 0.25}),
            ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
            ("Dropout", [], {}),
            ("Conv", ["G"], {"group": 2, "auto_pad": "SAME_UPPER"}),
            ("LeakyRelu", [], {"alpha": 0.25}),
            ("GlobalAveragePool", [], {}),
            FLAT,
            ("Gemm", ["B"], {}),
        ),
        {**CONV, **NORM, "G": (6, 2, 3, 3), "B": (6, 3)},
        [None, 2, 8, 8],
    ),
    "normalisation behind an activation": (
        chain(
            ("Conv", ["K", "k"], {}),
            RELU,
            ("BatchNormalization", ["g", "s", "m", "v"], {"epsilon": 0.01}),
            ("AveragePool", [], {"kernel_shape": [2, 2], "strides": [1, 1]}),
            ("Reshape", ["shape"], {}),
            ("Gemm", ["B"], {}),
        ),
        {**CONV, **NORM, "shape": ints(0, -1), "B": (36, 3)},
        [1, 2, 6, 6],
    ),
    "pooling before the activation, reduction": (
        chain(
            ("Reshape", ["shape"], {}),
            ("Conv", ["K"], {}),
            ("MaxPool", [], {"kernel_shape": [2, 2]}),
            RELU,
            ("ReduceMax", [], {"axes": [2, 3], "keepdims": 0}),
            ("Identity", [], {}),
            ("Gemm", ["B"], {}),
        ),
        {"shape": ints(-1, 2, 6, 5), "K": (4, 2, 3, 3), "B": (4, 3)},
        [None, 60],
    ),
    "one dimension": (
        chain(("Conv", ["K"], {"strides": [2], "pads": [1, 1]}), RELU, FLAT, ("Gemm", ["B"], {})),
        {"K": (3, 2, 3), "B": (15, 2)},
        [None, 2, 9],
    ),
}


def save(path, name):
    """Write the good model of a name."""
    nodes, tensors, shape = GOOD[name]
    onnx.save(model(nodes, tensors, shape), path)
