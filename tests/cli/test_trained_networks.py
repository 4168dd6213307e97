"""prune, gap and budget on the command line, and studies of networks in every format."""

import json

import numpy as np
import pytest

import simprune
from simprune.trained.formats import read_network, write_network
from tests.cli.calls import call, told
from tests.trained.networks import cnn, mlp

QUICK = ("--restarts", "4", "--steps", "10")


@pytest.fixture
def network(tmp_path):
    write_network(tmp_path / "n.npz", mlp())
    return tmp_path / "n.npz"


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".npz", ".nnet", ".safetensors", ".onnx"])
def test_prune_gap_and_budget_of_every_format(tmp_path, ending):
    source, out = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    write_network(source, mlp())
    result = call("prune", source, "--fraction", "0.2", "-o", out)
    assert result.exit_code == 0, result.output
    assert ["layer", "1", "42", "8", "19", "%", "81", "%"] in [line.split() for line in result.output.splitlines()]
    result = call("gap", source, out, *QUICK, "--witness", tmp_path / "w.npy", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert 0.0 < found["lower"] <= found["upper"]
    again = json.loads(call("gap", source, out, *QUICK, "--radius", "0", "--center", tmp_path / "w.npy", "--json").stdout)
    assert again["lower"] <= found["attained"] <= again["upper"]
    result = call("budget", source, "--epsilon", "0.5", *QUICK)
    assert result.exit_code == 0, result.output
    assert "all, equal share" in result.output


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".onnx"])
def test_convolutional_networks_of_every_format(tmp_path, ending):
    source, out = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    write_network(source, cnn(last=2))
    assert call("prune", source, "--alpha", "0.4", "-o", out).exit_code == 0
    found = json.loads(call("gap", source, out, *QUICK, "--json").stdout)
    assert 0.0 < found["lower"] <= found["upper"]
    (tmp_path / "d.toml").write_text(
        f"trials = 2\n[[networks]]\nfile = 'a{ending}'\n[[rules]]\nname = 'magnitude'\nalpha = 0.4\n"
        "[estimators.ascent]\nrestarts = 4\nsteps = 10\n[estimators.spectral]\n"
    )
    results = tmp_path / "results"
    assert call("run", tmp_path / "d.toml", "-o", results, "--backend", "reference", "--scheduler", "serial").exit_code == 0
    stored = simprune.open_results(results)
    assert stored.table(stored.points[0])["gap_upper"][0] >= found["lower"]


@pytest.mark.slow
def test_counts_alphas_and_random_rules(tmp_path, network):
    for i, options in enumerate((("--per-layer", "1,2,3"), ("--alpha", "0.5,0.4,0.3"), ("--fraction", "0.5"))):
        assert call("prune", network, *options, "-o", tmp_path / f"{i}.npz").exit_code == 0
    zeros = [int(np.count_nonzero(w == 0)) for w in read_network(tmp_path / "0.npz").weights]
    assert zeros == [1, 2, 3]
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        options = ("--rule", "random", "--fraction", "0.5", "--seed", seed)
        assert call("prune", network, *options, "-o", tmp_path / f"{name}.npz").exit_code == 0
    images = {name: (tmp_path / f"{name}.npz").read_bytes() for name in "abc"}
    assert images["a"] == images["b"] != images["c"]


@pytest.mark.slow
def test_a_center_is_read_from_text_and_arrays(tmp_path, network):
    (tmp_path / "c.txt").write_text("0.1, 0.2, 0\n-1 0.5")
    np.save(tmp_path / "c.npy", np.array([0.1, 0.2, 0, -1, 0.5]))
    call("prune", network, "--fraction", "0.2", "-o", tmp_path / "p.npz")
    told_ = [
        call("gap", network, tmp_path / "p.npz", *QUICK, "--center", tmp_path / f"c.{e}").stdout for e in ("txt", "npy")
    ]
    assert told_[0] == told_[1] != ""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".nnet", ".safetensors", ".onnx"])
def test_a_study_takes_networks_of_every_format(tmp_path, ending):
    write_network(tmp_path / f"n{ending}", mlp())
    (tmp_path / "d.toml").write_text(
        f"trials = 3\n[[networks]]\nfile = 'n{ending}'\n[[rules]]\nname = 'random'\nalpha = 0.3\n"
        "[estimators.ascent]\nrestarts = 2\nsteps = 4\n"
    )
    folder = tmp_path / "results"
    result = call("run", tmp_path / "d.toml", "-o", folder, "--backend", "reference", "--scheduler", "serial")
    assert result.exit_code == 0, result.output
    assert call("verify", folder, "--recompute", "2").exit_code == 0


def bad_calls(tmp_path, network):
    (tmp_path / "text.txt").write_text("one two")
    (tmp_path / "nan.txt").write_text("1 nan 2 3 4")
    (tmp_path / "n.pt").write_bytes(b"\x80\x02}q\x00.")
    out = ("-o", tmp_path / "o.npz")
    write_network(tmp_path / "other.npz", mlp(dtype=np.float64, seed=3))
    return [
        (("prune", tmp_path / "none.npz", "--alpha", "0.5", *out), "must exist"),
        (("prune", network, *out), "give one of --alpha, --fraction and --per-layer, got none"),
        (("prune", network, "--alpha", "0.5", "--fraction", "0.1", *out), "got --alpha and --fraction"),
        (("prune", network, "--alpha", "x", *out), "amounts must be numbers"),
        (("prune", network, "--alpha", "1.5", *out), "alpha must lie in (0, 1)"),
        (("prune", network, "--fraction", "0.1,0.2", *out), "one for each of the 3 layers"),
        (("prune", network, "--per-layer", "1,2", *out), "one number for each of the 3 layers"),
        (("prune", network, "--per-layer", "1,2,x", *out), "counts must be whole numbers"),
        (("prune", network, "--per-layer", "99,2,3", *out), "must lie in 0..35"),
        (("prune", network, "--alpha", "0.5", "--rule", "magnitud", *out), "did you mean 'magnitude'"),
        (("prune", network, "--alpha", "0.5", "-o", tmp_path / "o.onnx"), "must have the format of"),
        (("prune", network, "--alpha", "0.5", "-o", network), "must be a new file"),
        (("prune", network, "--alpha", "0.5", "--force", "-o", network), "must be a new file"),
        (("prune", tmp_path / "n.pt", "--alpha", "0.5", *out), "got a Python pickle"),
        (("gap", network, tmp_path / "none.npz"), "must exist"),
        (("gap", network, network, "--radius", "-1"), "radius must be finite"),
        (("gap", network, network, "--radius", "nan"), "radius must be finite"),
        (("gap", network, network, "--center", tmp_path / "text.txt"), "must hold one input"),
        (("gap", network, network, "--center", tmp_path / "nan.txt"), "must hold finite numbers"),
        (("gap", network, network, "--center", network), "must hold one input"),
        (("gap", network, network, "--activation", "rely"), "did you mean 'relu'"),
        (("gap", network, network, "--certificate", "x"), "certificate must be one of"),
        (("gap", network, network, "--restarts", "0"), "restarts must lie in"),
        (("gap", network, network, "--seed", "-1"), "seed must lie in"),
        (("gap", network, network, "--witness", tmp_path / "w.txt"), "end the name with .npy"),
        (("budget", network, "--epsilon", "0"), "epsilon must be positive"),
        (("budget", network, "--epsilon", "nan"), "epsilon must be positive"),
        (("budget", network, "--epsilon", "1", "--rule", "bernoulli"), "whose masks are nested"),
    ]


@pytest.mark.slow
def test_bad_input_is_told_in_one_sentence(tmp_path, network):
    for arguments, sentence in bad_calls(tmp_path, network):
        assert sentence in told(call(*arguments)), arguments
    assert not (tmp_path / "o.npz").exists()
