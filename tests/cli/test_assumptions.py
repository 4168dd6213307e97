"""``simprune assumptions`` on the shipped network, and on files that it must refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.calls import call, told

DIGITS = Path(__file__).resolve().parents[2] / "data" / "networks" / "digits_mlp.npz"


def test_the_shipped_network_is_not_iid():
    result = call("assumptions", DIGITS)
    assert result.exit_code == 0
    assert "0 of 3 tested layers" in result.output
    assert "fails first: the weights follow a uniform or a Gaussian law" in result.output


def test_json_with_chosen_prunings_and_seed():
    found = json.loads(call("assumptions", DIGITS, "--json", "--alpha", "0.2", "--alpha", "0.05", "--seed", "3").output)
    assert [part["alpha"] for part in found["layers"][0]["placements"]] == [0.05, 0.2]
    assert (found["format"], found["seed"]) == ("simprune-assumptions/1", 3)


def test_kernels_and_matrices_of_any_names(tmp_path):
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "any.npz", attention=rng.random((20, 20)), conv=rng.random((4, 3, 3, 3)), bias=rng.random(20))
    output = call("assumptions", tmp_path / "any.npz").output
    assert "attention, 20 x 20" in output
    assert "conv, 4 x 3 x 3 x 3" in output
    assert "bias" not in output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.npz"], "must exist"),
        ([DIGITS, "--alpha", "2"], "alpha must lie in (0, 1), got alpha=2.0"),
        ([DIGITS, "--seed", "-1"], "seed must lie in 0..2^64-1, got -1"),
        ([DIGITS, "--alpha", "x"], "--alpha"),
    ],
)
def test_bad_input_is_told(tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in told(call("assumptions", *arguments))


def test_a_file_without_matrices_is_told(tmp_path):
    np.savez(tmp_path / "b.npz", b=np.ones(3))
    assert "at least one weight matrix" in told(call("assumptions", tmp_path / "b.npz"))


def test_numbers_that_are_not_finite_are_told(tmp_path):
    np.savez(tmp_path / "w.npz", W0=np.full((5, 5), np.nan))
    assert "W0 must be finite, got 25 NaN" in told(call("assumptions", tmp_path / "w.npz"))
