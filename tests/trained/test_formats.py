"""Every format: bit-exact round trips, masks, pruned copies of foreign files, names."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper

import simprune
from simprune.model.activations import ReLU
from simprune.model.errors import InputError
from simprune.trained.formats import masked, masks_beside, read_network, read_weights, write_network, write_pruned
from simprune.trained.nnet import read_nnet_file
from simprune.trained.npz import read_arrays
from simprune.trained.safetensors import read_safetensors
from tests.trained.networks import cnn, mlp

NETWORKS = {
    "mlp32": mlp(),
    "mlp64": mlp(dtype=np.float64),
    "cnn0": cnn(),
    "cnn1": cnn(last=1, dtype=np.float64),
    "cnn2": cnn(last=2),
}


def same_bits(a, b):
    pairs = zip((*a.weights, *a.biases), (*b.weights, *b.biases), strict=True)
    return all(np.array_equal(x.astype(np.float64).view(np.uint64), y.astype(np.float64).view(np.uint64)) for x, y in pairs)


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".onnx", ".nnet"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_written_network_is_read_back_bit_for_bit(tmp_path, ending, name):
    network, path = NETWORKS[name], tmp_path / f"n{ending}"
    if ending == ".nnet" and network.chain is not None:
        with pytest.raises(InputError, match="fully connected networks only"):
            write_network(path, network)
        return
    write_network(path, network)
    back = read_network(path)
    assert back.sha256 == network.sha256
    assert same_bits(back, network)
    assert back.chain == network.chain
    assert back.activation == network.activation
    first = path.read_bytes()
    write_network(path, back)
    assert path.read_bytes() == first


def test_content_decides_not_the_name(tmp_path):
    for ending in (".npz", ".safetensors", ".onnx"):
        write_network(tmp_path / f"n{ending}", mlp())
        (tmp_path / "n.bin").write_bytes((tmp_path / f"n{ending}").read_bytes())
        if ending != ".onnx":
            assert read_network(tmp_path / "n.bin").sha256 == mlp().sha256
    with pytest.raises(InputError, match="give it the ending of its format"):
        read_network(tmp_path / "n.bin")


def masks_for(network, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.random(w.shape) > 0.4 for w in network.weights]


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".onnx", ".nnet"])
def test_pruned_copies_hold_zeros_and_masks(tmp_path, ending):
    network = mlp() if ending == ".nnet" else cnn()
    masks = masks_for(network)
    write_network(tmp_path / f"a{ending}", network)
    write_pruned(tmp_path / f"a{ending}", tmp_path / f"b{ending}", masks)
    assert read_network(tmp_path / f"b{ending}").sha256 == masked(network, masks).sha256
    if ending == ".nnet":
        with np.load(masks_beside(tmp_path / "b.nnet")) as beside:
            assert all(np.array_equal(beside[f"mask{i}"], m) for i, m in enumerate(masks))
    elif ending == ".npz":
        with np.load(tmp_path / "b.npz") as written:
            assert all(np.array_equal(written[f"mask{i}"], m) for i, m in enumerate(masks))
    elif ending == ".safetensors":
        tensors = safetensors.numpy.load_file(tmp_path / "b.safetensors")
        assert all(np.array_equal(tensors[f"{i}.weight_mask"], m) for i, m in enumerate(masks))
    else:
        stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(tmp_path / "b.onnx").graph.initializer}
        assert all(np.array_equal(stored[f"W{i}_mask"], m) for i, m in enumerate(masks))
    write_pruned(tmp_path / f"b{ending}", tmp_path / f"c{ending}", masks)
    assert (tmp_path / f"c{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()
    with pytest.raises(InputError, match="must have the format of"):
        write_pruned(tmp_path / f"a{ending}", tmp_path / "c.other", masks)


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_a_mask_that_contradicts_its_weights_is_refused(tmp_path, ending):
    network = mlp()
    write_network(tmp_path / f"n{ending}", network, masks=[np.zeros(w.shape, dtype=bool) for w in network.weights])
    with pytest.raises(InputError, match="marks as pruned must be 0"):
        read_network(tmp_path / f"n{ending}")
    write_network(tmp_path / f"n{ending}", network, masks=[np.ones((1, 1), dtype=bool) for _ in network.weights])
    with pytest.raises(InputError, match="the mask of"):
        read_network(tmp_path / f"n{ending}")


def torch_like(path, network, names):
    tensors = {}
    for name, weight, bias in zip(names, network.weights, network.biases, strict=True):
        tensors |= {f"{name}.weight": weight, f"{name}.bias": bias}
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})


def test_safetensors_of_other_programs_are_read_in_natural_order(tmp_path):
    network = mlp()
    torch_like(tmp_path / "n.safetensors", network, ["2", "9", "10"])
    back = read_network(tmp_path / "n.safetensors")
    assert back.sha256 == network.sha256
    assert back.activation is None
    torch_like(tmp_path / "m.safetensors", network, ["c", "a", "b"])
    with pytest.raises(InputError, match="must fit together"):
        read_network(tmp_path / "m.safetensors")
    back = read_safetensors(tmp_path / "m.safetensors", names=["c.weight", "a.weight", "b.weight"])
    assert back.sha256 == network.sha256


def test_pruned_safetensors_keep_names_metadata_and_other_tensors_types(tmp_path):
    network = mlp()
    torch_like(tmp_path / "n.safetensors", network, ["2", "9", "10"])
    masks = masks_for(network)
    write_pruned(tmp_path / "n.safetensors", tmp_path / "p.safetensors", masks)
    tensors = safetensors.numpy.load_file(tmp_path / "p.safetensors")
    assert set(tensors) == {f"{n}.{k}" for n in ("2", "9", "10") for k in ("weight", "bias", "weight_mask")}
    with safetensors.safe_open(tmp_path / "p.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt"}
    for name, weight, mask in zip(("2", "9", "10"), network.weights, masks, strict=True):
        assert np.array_equal(tensors[f"{name}.weight"], np.where(mask, weight, 0))


def test_half_precision_is_read_exactly(tmp_path):
    values = np.array([[1.5, -0.25], [65504.0, 2.0**-24]], dtype=np.float16)
    safetensors.numpy.save_file({"a.weight": values}, tmp_path / "h.safetensors")
    assert np.array_equal(read_weights(tmp_path / "h.safetensors")[0].values, values.astype(np.float32))
    header = b'{"a.weight":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}'
    body = np.array([1.5, -3.0], dtype=np.float32).view(np.uint32) >> 16
    image = len(header).to_bytes(8, "little") + header + body.astype("<u2").tobytes()
    (tmp_path / "b.safetensors").write_bytes(image)
    assert read_weights(tmp_path / "b.safetensors")[0].values.tolist() == [[1.5, -3.0]]


NNET = """// A network like those of aircraft control
// second comment
2,3,2,4,
3,4,2,
0,
-1,-1,-1,
1,1,1,
0.5,0,0,7,
2,1,1,373.5,
1,2,3,
4.5,5,6,
7,8,9e-3,
-1,-2,-3,
0.1,
0.2,
0.3,
0.4,
1,1,1,1,
-1,-1,-1,-1,
0.5,
-0.5,
"""


def test_nnet_text_and_its_normalisation(tmp_path):
    (tmp_path / "n.nnet").write_text(NNET)
    file = read_nnet_file(tmp_path / "n.nnet")
    assert file.network.widths == (3, 4, 2)
    assert file.network.activation == ReLU()
    assert file.network.weights[0][1].tolist() == [4.5, 5.0, 6.0]
    assert file.network.biases[0].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert file.normalisation.ranges.tolist() == [2.0, 1.0, 1.0, 373.5]
    masks = masks_for(file.network)
    write_pruned(tmp_path / "n.nnet", tmp_path / "p.nnet", masks)
    again = read_nnet_file(tmp_path / "p.nnet")
    assert again.comments == file.comments
    assert np.array_equal(again.normalisation.means, file.normalisation.means)
    assert again.network.sha256 == masked(file.network, masks).sha256


def test_weights_of_layers_that_cannot_be_run_are_listed(tmp_path):
    rng = np.random.default_rng(0)
    lstm = rng.standard_normal((1, 8, 3)).astype(np.float32)
    node = helper.make_node("LSTM", ["x", "W", "R"], ["y"], hidden_size=2)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 1, 1, 2])],
        [numpy_helper.from_array(lstm, "W"), numpy_helper.from_array(lstm[:, :, :2], "R")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "l.onnx")
    found = read_weights(tmp_path / "l.onnx")
    assert [(w.name, w.values.shape) for w in found] == [("W", (8, 3)), ("R", (8, 2))]
    with pytest.raises(InputError, match=r"node 'y' \(LSTM\) of .* must be one of"):
        read_network(tmp_path / "l.onnx")
    np.savez(tmp_path / "w.npz", query=lstm[0], count=np.arange(3), kernel=np.ones((2, 3, 1, 1)))
    assert [w.name for w in read_weights(tmp_path / "w.npz")] == ["query", "kernel"]
    assert set(read_arrays(tmp_path / "w.npz")) == {"query", "kernel"}


def test_weights_of_every_format(tmp_path):
    network = mlp()
    for ending in (".npz", ".safetensors", ".onnx", ".nnet"):
        write_network(tmp_path / f"n{ending}", network)
        found = simprune.read_weights(tmp_path / f"n{ending}")
        assert all(np.array_equal(f.values, w) for f, w in zip(found, network.weights, strict=True))


def test_large_safetensors_are_mapped_not_read(tmp_path):
    path = tmp_path / "big.safetensors"
    header = b'{"a.weight":{"dtype":"F32","shape":[262144,4096],"data_offsets":[0,4294967296]}}'
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 32))
    (weight,) = read_weights(path)
    assert weight.values.shape == (262144, 4096)
    assert weight.values[-1, -1] == 0.0


def test_the_digits_network_through_every_format(tmp_path):
    network = read_network(Path("data/networks/digits_mlp.npz"))
    for ending in (".safetensors", ".nnet"):
        write_network(tmp_path / f"n{ending}", network)
        assert read_network(tmp_path / f"n{ending}").sha256 == network.sha256
