"""A tiny study, and how to call a command on it."""

from click.testing import CliRunner

from simprune.cli import main

STUDY = """
trials = 6
seed = 3
[[networks]]
width = [4, 6]
depth = [1, 2]
[[rules]]
name = "magnitude"
alpha = 0.3
[[rules]]
name = "random"
pruned_fraction = 0.25
[estimators.ascent]
restarts = 2
steps = 6
[estimators.spectral]
"""
FAST = ("--backend", "reference", "--scheduler", "serial")


def call(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def told(result, *, code=2):
    """The error of a command that ended with this code: one line."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0].removeprefix("error: ")


def contents(folder):
    """All files but the lock, which names the last writer."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(folder): path.read_bytes() for path in files}
