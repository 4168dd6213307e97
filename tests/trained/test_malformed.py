"""Malformed and hostile files: each ends in one clear sentence, quickly and in little memory."""

import io
import json
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from onnx import TensorProto, helper

from simprune.model.errors import InputError
from simprune.trained.formats import read_network, read_weights, write_network
from tests.trained.networks import cnn, mlp
from tests.trained.onnx_models import DENSE, GEMM, LAST, RELU, chain, ints, model
from tests.trained.test_formats import NNET

SAFE_HEADER = {"a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}


def safetensors(header, body=bytes(24)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(**changes):
    return {"a.weight": SAFE_HEADER["a.weight"] | changes}


SAFETENSORS = {
    "truncated": (safetensors(SAFE_HEADER)[:-1], "bytes 0 to 24 of 23"),
    "truncated header": (safetensors(SAFE_HEADER)[:20], "header"),
    "huge header": ((1 << 62).to_bytes(8, "little") + b"{}" + bytes(100), "a header of 4611686018427387904 bytes"),
    "no JSON": (safetensors(b"{" + b"x" * 30), "a header that is no JSON"),
    "deep JSON": (safetensors(b'{"a":' * 100_000), "a header that is no JSON"),
    "a list": (safetensors(b"[]" + b" " * 6), "header"),
    "huge shape": (safetensors(entry(shape=[1 << 40, 1 << 40])), "must be a whole safetensors file"),
    "shape and size differ": (safetensors(entry(shape=[2, 4])), "of 32 bytes in bytes 0 to 24"),
    "negative shape": (safetensors(entry(shape=[-2, -3])), "no whole numbers"),
    "offsets outside": (safetensors(entry(data_offsets=[24, 48])), "bytes 24 to 48 of 24"),
    "offsets turned": (safetensors(entry(data_offsets=[24, 0])), "bytes 24 to 0"),
    "a hole": (safetensors(entry(data_offsets=[4, 28]), bytes(28)), "begins at byte 4"),
    "bytes left over": (safetensors(SAFE_HEADER, bytes(32)), "8 bytes that belong to no tensor"),
    "unknown type": (safetensors(entry(dtype="C64")), "must be of a known type"),
    "twice": (safetensors(b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{}}', bytes(4)), "occurs twice"),
    "no weights": (safetensors(entry(shape=[6])), "must hold weights"),
    "not a number": (safetensors(SAFE_HEADER, np.full(6, np.nan, "<f4").tobytes()), "must be finite"),
    "integers": (safetensors(entry(dtype="I32")), "must hold weights"),
    "kernels without layers": (safetensors(entry(shape=[1, 2, 1, 3])), "must say how its kernels are used"),
    "other tensors": (
        safetensors(SAFE_HEADER | {"scale": {"dtype": "F32", "shape": [], "data_offsets": [24, 28]}}, bytes(28)),
        "got 'scale'",
    ),
}


def nnet(old, new):
    assert old in NNET
    return NNET.replace(old, new).encode()


NNETS = {
    "truncated": (NNET[: len(NNET) // 2].encode(), "must be a whole NNet file"),
    "empty": (b"//\n", "the end of the file in place of numbers of layers"),
    "binary": (b"// \xff\xfe\x00", "bytes that are no text"),
    "huge sizes": (nnet("3,4,2,\n", "3,16777216,2,\n"), "neurons"),
    "huge number of layers": (nnet("2,3,2,4,", "1000000000,3,2,4,"), "1000000000 layers"),
    "negative sizes": (nnet("3,4,2,\n", "3,-4,2,\n"), "outside 1.."),
    "fractional sizes": (nnet("3,4,2,\n", "3,4.5,2,\n"), "not whole"),
    "infinite sizes": (nnet("3,4,2,\n", "3,inf,2,\n"), "not whole"),
    "words": (nnet("4.5,5,6,", "4.5,five,6,"), "in place of row 1 of weights 0"),
    "too few in a row": (nnet("4.5,5,6,", "4.5,5,"), "2 numbers in place of the 3 of row 1"),
    "not a number": (nnet("4.5,5,6,", "nan,5,6,"), "must be finite"),
    "range of zero": (nnet("2,1,1,373.5,", "0,1,1,373.5,"), "a range of 0"),
    "too long": (NNET.encode() + b"7,\n", "1 lines too many"),
    "other sizes": (nnet("2,3,2,4,", "2,5,2,4,"), "contradict"),
}


def graph(nodes, tensors=DENSE, shape=(None, 5), **changes):
    return model(nodes, tensors, list(shape), **changes).SerializeToString()


def tensor(name, **changes):
    """A model whose tensor ``A`` has other fields."""
    built = model(chain(GEMM, RELU, LAST), DENSE, [None, 5])
    (found,) = [t for t in built.graph.initializer if t.name == name]
    for key, value in changes.items():
        if key == "dims":
            del found.dims[:]
            found.dims.extend(value)
        elif key == "external":
            found.ClearField("raw_data")
            found.data_location = TensorProto.EXTERNAL
            for k, v in value.items():
                found.external_data.add(key=k, value=v)
        else:
            setattr(found, key, value)
    return built.SerializeToString()


def with_graph(change):
    built = model(chain(GEMM, RELU, LAST), DENSE, [None, 5])
    change(built)
    return built.SerializeToString()


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs, outputs, name="odd", **attributes)


WHOLE = graph(chain(GEMM, RELU, LAST))
ONNX = {
    "truncated": (WHOLE[:-7], "cannot be parsed"),
    "half": (WHOLE[: len(WHOLE) // 2], "cannot be parsed"),
    "empty": (b"", "must be an ONNX model with a graph"),
    "noise": (b"\x08" + b"\xff" * 200, "cannot be parsed"),
    "huge shape": (tensor("A", dims=[1 << 40, 1 << 20]), "bytes that its shape"),
    "negative shape": (tensor("A", dims=[-6, -5]), "must have a shape"),
    "wrong shape": (tensor("A", dims=[5, 6]), "its operand must have shape [5], got [6]"),
    "unknown type": (tensor("A", data_type=99), "must be of one of"),
    "integers": (tensor("A", data_type=TensorProto.INT32), "its weights must be floats"),
    "outside": (tensor("A", external={"location": "../../../etc/passwd"}), "must lie in the folder of the file"),
    "absolute": (tensor("A", external={"location": "/etc/passwd"}), "must lie in the folder of the file"),
    "no location": (tensor("A", external={}), "must lie in the folder of the file"),
    "missing": (tensor("A", external={"location": "none.bin"}), "must exist"),
    "external length": (tensor("A", external={"location": "n.onnx", "length": "9"}), "promises, got 9"),
    "external offset": (tensor("A", external={"location": "n.onnx", "offset": "99999999"}), "must lie within n.onnx"),
    "external negative": (tensor("A", external={"location": "n.onnx", "offset": "-4"}), "must lie within n.onnx"),
    "external word": (tensor("A", external={"location": "n.onnx", "offset": "four"}), "must be whole numbers"),
    "not a number": (tensor("A", raw_data=np.full(30, np.inf, "<f4").tobytes()), "must be finite"),
    "twice": (with_graph(lambda m: m.graph.initializer.append(m.graph.initializer[0])), "got 'A' twice"),
    "two inputs": (
        with_graph(lambda m: m.graph.input.append(helper.make_tensor_value_info("z", 1, [1]))),
        "must have one input, got x, z",
    ),
    "no output": (with_graph(lambda m: m.graph.output.pop()), "must have one output, got none"),
    "no opset": (with_graph(lambda m: m.opset_import.pop()), "operator set"),
    "future opset": (graph(chain(GEMM, RELU, LAST), opset=9999), "operator set"),
    "unknown operator": (graph(chain(GEMM, ("Softplus", [], {}), LAST)), "node 'n1' (Softplus)"),
    "foreign operator": (graph([node("Relu", ["x"], ["y"], domain="evil.org")]), "node 'odd' (Relu)"),
    "softmax at the end": (graph(chain(GEMM, RELU, LAST, ("Softmax", [], {}))), "node 'n3' (Softmax)"),
    "activation at the end": (graph(chain(GEMM, RELU, LAST, RELU)), "without its last activation"),
    "mixed activations": (
        graph(chain(GEMM, RELU, ("Gemm", ["C"], {}), ("Tanh", [], {}), LAST), DENSE | {"C": (6, 6)}),
        "the same activation",
    ),
    "no activation": (graph(chain(GEMM, RELU, ("Gemm", ["C"], {}), LAST), DENSE | {"C": (6, 6)}), "the same activation"),
    "activation first": (graph(chain(RELU, GEMM)), "must follow a layer with weights"),
    "a cycle": (
        graph([node("Add", ["x", "v"], ["u"]), node("Relu", ["u"], ["v"]), node("Relu", ["v"], ["y"])]),
        "must be a stored tensor",
    ),
    "a cycle apart": (
        graph([node("Add", ["p", "q"], ["q2"]), node("Relu", ["q2"], ["p"]), *chain(GEMM, RELU, LAST)]),
        "outside it",
    ),
    "computed twice": (graph([node("Relu", ["x"], ["v0"]), *chain(GEMM, RELU, LAST)]), "compute each value once"),
    "a branch": (
        graph([node("Relu", ["x"], ["a1"]), node("Relu", ["x"], ["a2"]), node("Add", ["a1", "a2"], ["y"])]),
        "branches are not supported",
    ),
    "not joined": (graph([node("Relu", ["z"], ["y"])]), "got no node reading 'x'"),
    "missing operand": (graph([node("Gemm", ["x"], ["y"])]), "at least 2 operands"),
    "unknown operand": (graph([node("Gemm", ["x", "none"], ["y"])]), "must be a stored tensor"),
    "bias of another shape": (graph(chain(("Gemm", ["A", "B"], {"transB": 1}))), "its operand must have shape"),
    "matrix of three axes": (graph(chain(("MatMul", ["T"], {})), {"T": (1, 5, 2)}), "must have two axes"),
    "unknown input": (graph(chain(GEMM, RELU, LAST), DENSE, ("b", "features")), "must have a known shape"),
    "huge input": (graph(chain(GEMM, RELU, LAST), DENSE, (1, 1 << 50)), "must have a known shape"),
    "uneven padding": (
        graph(chain(("Conv", ["K"], {"pads": [0, 0, 1, 1]})), {"K": (1, 1, 3, 3)}, (1, 1, 5, 5)),
        "equal on both sides",
    ),
    "huge padding": (
        graph(chain(("Conv", ["K"], {"pads": [1 << 40] * 4})), {"K": (1, 1, 3, 3)}, (1, 1, 5, 5)),
        "padding must be less than the kernel",
    ),
    "dilated": (
        graph(chain(("Conv", ["K"], {"dilations": [2, 2]})), {"K": (1, 1, 3, 3)}, (1, 1, 5, 5)),
        "dilations must be 1",
    ),
    "stride of zero": (
        graph(chain(("Conv", ["K"], {"strides": [0, 0]})), {"K": (1, 1, 3, 3)}, (1, 1, 5, 5)),
        "stride of a convolution",
    ),
    "kernel too large": (
        graph(chain(("Conv", ["K"], {})), {"K": (1, 1, 9, 9)}, (1, 1, 5, 5)),
        "must fit into the (padded) input",
    ),
    "averages before the activation": (
        graph(
            chain(("Conv", ["K"], {}), ("AveragePool", [], {"kernel_shape": [2, 2]}), RELU),
            {"K": (1, 1, 3, 3)},
            (1, 1, 5, 5),
        ),
        "before averages",
    ),
    "negative variance": (
        graph(
            chain(GEMM, ("BatchNormalization", ["a", "a", "a", "V"], {})),
            DENSE | {"V": np.full(6, -1.0, np.float32)},
        ),
        "must be positive",
    ),
    "reshape to nothing": (
        graph(chain(("Reshape", ["s"], {}), GEMM), DENSE | {"s": ints(0, 0, 0)}),
        "must keep the batch axis",
    ),
    "attribute of another kind": (graph(chain(("Gemm", ["A"], {"transB": [1, 2]}))), "its attribute transB"),
}


def npz(**arrays):
    image = io.BytesIO()
    np.savez(image, **arrays)
    return image.getvalue()


OTHERS = {
    "pickle.pt": (pickle.dumps({"a": 1}), "got a Python pickle"),
    "model.pth": (b"anything", "got a Python pickle"),
    "weights.pkl": (b"anything", "got a Python pickle"),
    "renamed.onnx": (pickle.dumps([1.0]), "got a Python pickle"),
    "array.npz": (b"\x93NUMPY\x01\x00", "a single array"),
    "keras.h5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "packed.gz": (b"\x1f\x8b\x08", "a compressed file"),
    "unknown.bin": (b"hello", "give it the ending of its format"),
    "empty.bin": (b"", "give it the ending of its format"),
    "mask.npz": (npz(W0=np.ones((2, 2)), mask0=np.zeros((2, 2), dtype=bool)), "marks as pruned must be 0"),
    "numbers.npz": (npz(W0=np.ones((2, 2)), mask0=np.ones((2, 2))), "must be a bool array"),
}
FILES = {
    **{f"safetensors, {name}": ("n.safetensors", *case) for name, case in SAFETENSORS.items()},
    **{f"nnet, {name}": ("n.nnet", *case) for name, case in NNETS.items()},
    **{f"onnx, {name}": ("n.onnx", *case) for name, case in ONNX.items()},
    **{f"other, {name}": (name, *case) for name, case in OTHERS.items()},
}


@pytest.mark.fault("X1")
@pytest.mark.parametrize("name", FILES)
def test_a_malformed_file_is_told_in_one_sentence(tmp_path, name):
    file, image, sentence = FILES[name]
    (tmp_path / file).write_bytes(image)
    with pytest.raises(InputError) as caught:
        read_network(tmp_path / file)
    told = str(caught.value)
    assert sentence in told
    assert "\n" not in told
    assert str(tmp_path / file) in told or "none.bin" in told


def test_a_torch_archive_is_refused_by_its_content(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    with pytest.raises(InputError, match=r"torch\.onnx\.export"):
        read_network(tmp_path / "net.npz")


CHILD = """
import resource, sys, time
import numpy, onnx, google.protobuf.message
from simprune.model.errors import InputError
from simprune.trained import formats, nnet, npz, onnx_chain, safetensors
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = used + (600 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
for path in sys.argv[1:]:
    for read in (formats.read_network, formats.read_weights):
        began = time.process_time()
        try:
            read(path)
        except InputError as error:
            assert str(error)
        assert time.process_time() - began < 5.0, path
print("all refused or read")
"""


def fuzzed(tmp_path):
    """Every listed file, and copies of good ones cut and changed at random places."""
    paths = []
    for i, (file, image, _) in enumerate(FILES.values()):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / file).write_bytes(image)
        paths.append(tmp_path / str(i) / file)
    rng = np.random.default_rng(0)
    for ending, network in ((".npz", cnn()), (".safetensors", cnn()), (".onnx", cnn()), (".nnet", mlp())):
        write_network(tmp_path / f"good{ending}", network)
        image = (tmp_path / f"good{ending}").read_bytes()
        for i in range(60):
            changed = bytearray(image[: rng.integers(1, len(image))] if i % 3 == 0 else image)
            where = rng.integers(0, min(len(changed), 400 if i % 2 else len(changed)), size=1 + i % 4)
            for at in where:
                changed[at] = rng.integers(0, 256)
            (tmp_path / f"f{i}{ending}").write_bytes(changed)
            paths.append(tmp_path / f"f{i}{ending}")
    return paths


@pytest.mark.fault("X1")
@pytest.mark.slow
def test_hostile_files_cost_neither_memory_nor_time(tmp_path):
    paths = fuzzed(tmp_path)
    assert len(FILES) >= 90
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHILD, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "all refused or read\n"


def test_good_files_are_still_read(tmp_path):
    (tmp_path / "n.nnet").write_text(NNET)
    (tmp_path / "n.onnx").write_bytes(WHOLE)
    (tmp_path / "n.safetensors").write_bytes(safetensors(SAFE_HEADER))
    for ending in ("nnet", "onnx", "safetensors"):
        assert read_network(tmp_path / f"n.{ending}").weights
        assert read_weights(tmp_path / f"n.{ending}")
