import psutil
import pytest

from simprune.design.block import Block
from simprune.model.errors import InputError
from simprune.schedulers.serial import SerialScheduler
from tests.engine.hash_backend import HashBackend, design


def blocks(n):
    points = design(trials=1, widths=(4,)).points()
    return [Block(points=points, first=2 * i, stop=2 * i + 2) for i in range(n)]


def test_outcomes_come_in_order_and_blocks_are_pulled_one_by_one():
    pulled = []

    def source():
        for block in blocks(3):
            pulled.append(block)
            yield block

    for i, outcome in enumerate(SerialScheduler().map(HashBackend().run, source())):
        assert len(pulled) == i + 1
        assert (outcome.block, outcome.failure, len(outcome.batches)) == (pulled[i], None, 3)


def test_an_exception_is_an_outcome_and_the_next_block_runs():
    outcomes = list(SerialScheduler().map(HashBackend(raises=(3,)).run, blocks(3)))
    assert [o.failure for o in outcomes] == [None, "ArithmeticError: trial 3 is bad", None]
    assert outcomes[1].batches == ()


def test_an_input_error_is_raised():
    def compute(block):
        raise InputError("mend this")

    with pytest.raises(InputError, match="mend this"):
        list(SerialScheduler().map(compute, blocks(1)))


@pytest.mark.fault("X2")
def test_nothing_listens_anywhere():
    before = set(psutil.Process().net_connections(kind="inet"))
    during = []
    for _ in SerialScheduler().map(HashBackend().run, blocks(2)):
        during += psutil.Process().net_connections(kind="inet")
    assert set(during) <= before
