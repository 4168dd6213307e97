"""Threads, blocks, processes and interruptions change no bit of the rows of networks with convolutions."""

from contextlib import closing

import pytest

from simprune.backends.cpu import CpuBackend
from simprune.backends.reference import ReferenceBackend
from simprune.engine import StopRequest, run
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore
from tests.invariance.studies import bytes_of, conv_design
from tests.invariance.test_invariance import Counting, StopAfter

pytestmark = pytest.mark.slow
STUDY = conv_design(trials=24)
BACKENDS = {"reference": ReferenceBackend, "cpu": CpuBackend}


def rows(backend, scheduler=None, *, block_trials=None):
    store = MemoryStore()
    arguments = {"scheduler": scheduler or SerialScheduler(), "store": store, "block_trials": block_trials}
    assert run(STUDY, backend=backend, **arguments).complete
    return bytes_of(store.read, STUDY)


@pytest.fixture(scope="module")
def expected():
    return {name: rows(backend(), block_trials=STUDY.trials) for name, backend in BACKENDS.items()}


@pytest.mark.fault("D8")
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(("block_trials", "threads"), [(1, 1), (7, 2), (None, 1)])
def test_block_sizes_and_threads(expected, name, block_trials, threads):
    assert rows(BACKENDS[name](threads=threads), block_trials=block_trials) == expected[name]


@pytest.mark.fault("D8")
def test_processes(expected):
    with closing(DaskScheduler(workers=2)) as scheduler:
        assert rows(CpuBackend(), scheduler, block_trials=5) == expected["cpu"]


@pytest.mark.fault("D8")
def test_stopping_often(expected):
    store, stopped = MemoryStore(), 0
    while True:
        stop = StopRequest()
        watched = Counting(store, StopAfter(stop, n_blocks=2))
        report = run(STUDY, backend=CpuBackend(), scheduler=SerialScheduler(), store=watched, stop=stop, block_trials=5)
        if not report.stopped:
            break
        stopped += 1
    assert report.complete
    assert stopped > 1
    assert bytes_of(store.read, STUDY) == expected["cpu"]
