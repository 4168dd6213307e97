"""What README shows can be typed: its design file loads, its commands exist, its Python runs."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import simprune
from simprune.cli import main
from simprune.design.file import parse_design

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_design_file_loads():
    (text,) = blocks("toml")
    design = parse_design(text, path=ROOT / "data" / "designs" / "readme.toml")
    assert {point.network.depth for point in design.points()} == {1, 2, 3}


def test_every_command_is_in_the_table_and_the_other_way_round():
    assert set(re.findall(r"^\| `simprune ([\w-]+)", README, flags=re.MULTILINE)) == set(main.commands)


def test_the_python_example_runs(tmp_path, monkeypatch):
    example = blocks("python")[0].replace("data/designs/theorem1.toml", str(tmp_path / "small.toml"))
    example = example.replace("results/theorem1", str(tmp_path / "results"))
    text = (ROOT / "data" / "designs" / "theorem1.toml").read_text()
    small = re.sub(r"trials = \d+", "trials = 20", text).replace("[32, 64, 128, 256]", "[16]")
    (tmp_path / "small.toml").write_text(small)
    run = simprune.run
    monkeypatch.setattr(simprune, "run", lambda *args: run(*args, scheduler="serial"), raising=False)
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["table"]["gap_lower"].shape == (20,)
    assert (~names["mask"]).sum() == 100


def test_the_bound_is_shown_as_it_is_printed():
    ((arguments, shown),) = re.findall(r"^\$ simprune (bound [^\n]*)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    assert CliRunner().invoke(main, arguments.split()).output == shown


def test_the_format_is_shown_as_it_is_printed():
    (shown,) = re.findall(r"^\$ simprune schema\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    assert CliRunner().invoke(main, ["schema"]).output == shown


@pytest.mark.parametrize("path", re.findall(r"`((?:data|scripts|simprune|tests)/[\w/.-]+)`", README))
def test_paths_exist(path):
    assert (ROOT / path).exists()


def test_the_fault_matrix_names_the_tests_that_show_its_rows():
    named = {
        (row, file)
        for row, cells in re.findall(r"^\| ([A-Z]\d) \|(.*)$", README, flags=re.MULTILINE)
        for file in re.findall(r"`(tests/[^`]*)`", cells)
    }
    marked = {
        (row, str(path.relative_to(ROOT)))
        for path in (ROOT / "tests").rglob("test_*.py")
        for rows in re.findall(r"^@pytest\.mark\.fault\((.*)\)$", path.read_text(), flags=re.MULTILINE)
        for row in re.findall(r"\w+", rows)
    }
    assert len({row for row, _ in named}) == 20
    assert named == marked
