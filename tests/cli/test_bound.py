"""``simprune bound`` for the networks of a design file, convolutions included."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from simprune.cli import main

DESIGN = Path(__file__).resolve().parents[2] / "data" / "designs" / "cnn.toml"


def call(*arguments):
    return CliRunner().invoke(main, ["bound", *map(str, arguments)])


def test_every_point_of_a_design_is_bounded():
    result = call("--design", DESIGN)
    assert result.exit_code == 0, result.output
    assert result.output.count("failure budget") == 12
    assert "M* (symbol)" in result.output
    assert "no exponent is claimed for convolutions" in result.output
    told = json.loads(call("--design", DESIGN, "--json").output)
    assert len(told) == 12
    assert all(entry["bound"]["gap"] > 0.0 for entry in told)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "must have either --widths or --design, got neither"),
        (("--widths", "3,3", "--design", DESIGN), "got both"),
        (("--design", DESIGN, "--alpha", "0.3"), "a design must bring its own amounts"),
    ],
)
def test_mistakes_end_in_a_sentence(arguments, sentence):
    result = call(*arguments)
    assert result.exit_code == 2
    assert sentence in result.output
