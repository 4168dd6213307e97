"""The CUDA kernels give the cpu backend's answers, and every mutant of them is noticed."""

import pytest

from tests.backends.interpreted import InterpretedDevice
from tests.ptx.mutants import MUTANTS
from tests.ptx.mutation import Mutant, outcome
from tests.ptx.twins import STAGES

QUICK = "nine rounds of Philox"


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_interpreted_kernels_agree_with_the_cpu(stage):
    STAGES[stage](InterpretedDevice())


def test_every_mutant_changes_a_line_that_is_there():
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 20
    for mutant in MUTANTS:
        compile(mutant.source(), mutant.name, "exec")


@pytest.mark.parametrize(
    "mutant", [pytest.param(m, id=m.name, marks=() if m.name == QUICK else pytest.mark.slow) for m in MUTANTS]
)
def test_a_mutant_is_caught(mutant):
    assert outcome(mutant)


@pytest.mark.slow
def test_a_change_without_effect_survives():
    same = Mutant(
        name="no change",
        module="cuda_selection",
        function="pack_mask",
        before="if lane == 0 and total != 0:",
        after="if total != 0 and lane == 0:",
        kernels=("pack_mask32",),
        stage="magnitude32",
    )
    assert outcome(same) is None


@pytest.mark.slow
def test_a_mutant_that_is_never_run_is_an_error():
    unused = next(m for m in MUTANTS if m.name == "sign of the pruned entries")
    with pytest.raises(ValueError, match="none of its kernels did"):
        outcome(Mutant(**{**{n: getattr(unused, n) for n in unused.__slots__}, "stage": "magnitude32"}))
    with pytest.raises(ValueError, match="found 0 times"):
        Mutant(**{**{n: getattr(unused, n) for n in unused.__slots__}, "before": "nowhere"}).source()
