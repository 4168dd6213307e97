"""Design texts to build on, and the mistakes that a text has."""

from pathlib import Path

import pytest

from simprune.design.file import parse_design
from simprune.model.errors import InputError

HEAD = "trials = 10\n"
NETWORK = "[[networks]]\nwidth = 8\ndepth = 2\n"
RULE = "[[rules]]\nname = 'magnitude'\nalpha = 0.3\n"
GOOD = HEAD + NETWORK + RULE


def parse(text, folder=Path()):
    return parse_design(text, path=folder / "study.toml")


def mistakes_of(text, folder=Path()):
    with pytest.raises(InputError) as error:
        parse(text, folder)
    lines = str(error.value).split("\n")
    if len(lines) == 1:
        return [lines[0].removeprefix(f"{folder / 'study.toml'}: ")]
    assert lines[0].endswith(f"must be a valid design, got {len(lines) - 1} mistakes:")
    return [line.strip() for line in lines[1:]]
