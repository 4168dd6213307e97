"""ONNX graphs are read as onnxruntime runs them."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from simprune.model.activations import ReLU
from simprune.trained.formats import masked, read_network, write_network, write_pruned
from simprune.trained.network import TrainedNetwork
from tests.bracket.slow import output
from tests.trained.networks import cnn
from tests.trained.onnx_models import GEMM, GOOD, RELU, chain, model, save


def ran(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("name", GOOD)
def test_supported_graphs_mean_what_onnxruntime_computes(tmp_path, name):
    save(tmp_path / "n.onnx", name)
    network = read_network(tmp_path / "n.onnx")
    shape = [1, *GOOD[name][2][1:]]
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        wanted = ran(tmp_path / "n.onnx", x).ravel()
        assert np.allclose(output(network, network.activation, x.ravel()), wanted, rtol=1e-5, atol=1e-5)


def test_the_digits_network_agrees_with_onnxruntime(tmp_path):
    plain = read_network("data/networks/digits_mlp.npz")
    network = TrainedNetwork(weights=plain.weights, biases=plain.biases, origin="digits", activation=ReLU())
    write_network(tmp_path / "d.onnx", network)
    assert read_network(tmp_path / "d.onnx").sha256 == plain.sha256
    x = np.random.default_rng(0).random((50, 64)).astype(np.float32)
    wanted = ran(tmp_path / "d.onnx", x)
    got = np.array([output(network, ReLU(), row) for row in x])
    assert np.abs(got - wanted).max() < 1e-5 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("last", [0, 1, 2])
def test_written_networks_run_in_onnxruntime(tmp_path, last):
    network = cnn(last=last)
    write_network(tmp_path / "c.onnx", network)
    onnx.checker.check_model(str(tmp_path / "c.onnx"), full_check=True)
    x = np.random.default_rng(1).standard_normal((1, 2, 8, 8)).astype(np.float32)
    wanted = ran(tmp_path / "c.onnx", x)[0]
    assert np.allclose(output(network, network.activation, x.ravel()), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gemm", "matmul and add", "convolutions", "normalisation behind an activation"])
def test_pruned_copies_of_foreign_graphs_keep_their_nodes(tmp_path, name):
    save(tmp_path / "n.onnx", name)
    network = read_network(tmp_path / "n.onnx")
    rng = np.random.default_rng(2)
    masks = [rng.random(w.shape) > 0.5 for w in network.weights]
    write_pruned(tmp_path / "n.onnx", tmp_path / "p.onnx", masks)
    nodes = [onnx.load(tmp_path / f"{k}.onnx").graph.node for k in "np"]
    assert list(nodes[0]) == list(nodes[1])
    expected = masked(network, masks)
    back = read_network(tmp_path / "p.onnx")
    assert all(np.array_equal(a, b) for a, b in zip(back.weights, expected.weights, strict=True))
    x = rng.standard_normal([1, *GOOD[name][2][1:]]).astype(np.float32)
    wanted = ran(tmp_path / "p.onnx", x).ravel()
    assert np.allclose(output(back, back.activation, x.ravel()), wanted, rtol=1e-5, atol=1e-5)


def test_external_numbers_beside_the_file_are_read_and_taken_in(tmp_path):
    built = model(chain(GEMM, RELU, ("Gemm", ["B"], {})), GOOD["gemm"][1], [None, 5])
    onnx.save(built, tmp_path / "in.onnx")
    onnx.save(built, tmp_path / "out.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert read_network(tmp_path / "out.onnx").sha256 == read_network(tmp_path / "in.onnx").sha256
    network = read_network(tmp_path / "out.onnx")
    (tmp_path / "elsewhere").mkdir()
    keep = [np.ones(w.shape, dtype=bool) for w in network.weights]
    write_pruned(tmp_path / "out.onnx", tmp_path / "elsewhere" / "p.onnx", keep)
    assert read_network(tmp_path / "elsewhere" / "p.onnx").sha256 == network.sha256


def test_vectors_without_a_batch_axis_and_constant_nodes(tmp_path):
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((3, 5)).astype(np.float32), rng.standard_normal(3).astype(np.float32)
    nodes = [
        helper.make_node("Constant", [], ["b"], value=numpy_helper.from_array(bias)),
        helper.make_node("MatMul", ["W", "x"], ["z"]),
        helper.make_node("Add", ["b", "z"], ["y"]),
    ]
    onnx.save(model(nodes, {"W": weight}, [5]), tmp_path / "n.onnx")
    network = read_network(tmp_path / "n.onnx")
    assert np.array_equal(network.weights[0], weight)
    assert np.array_equal(network.biases[0], bias)
