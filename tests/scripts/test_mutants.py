"""scripts/mutants: a table, and an exit status that says whether a mutant survived."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def mutants(*words):
    return subprocess.run([ROOT / "scripts" / "mutants", *words], capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
def test_the_table_ends_with_the_number_of_mutants_caught():
    done = mutants("nine rounds", "half a warp")
    assert done.returncode == 0, done.stderr
    first, *rows, last = done.stdout.splitlines()
    assert first.startswith("2 mutants of")
    assert [row.split("  ")[0] for row in rows] == ["half a warp votes", "nine rounds of Philox"]
    assert "WrongWarpMask" in rows[0]
    assert last == "2 of 2 caught"


@pytest.mark.slow
def test_a_word_that_no_mutant_has_is_an_error():
    done = mutants("no such mutant")
    assert done.returncode == 2
    assert "must be in the name of a mutant" in done.stderr
