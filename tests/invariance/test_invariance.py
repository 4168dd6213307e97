"""Threads, block sizes, schedulers and the order of work change no bit of any column."""

from contextlib import closing

import numpy as np
import pytest

from simprune.backends.cpu import CpuBackend
from simprune.backends.reference import ReferenceBackend
from simprune.engine import StopRequest, run
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore
from tests.invariance.studies import bytes_of, mixed_design

STUDY = mixed_design(trials=40)
BACKENDS = {"reference": ReferenceBackend, "cpu": CpuBackend}


def rows(backend, scheduler=None, *, block_trials=None, study=STUDY):
    store = MemoryStore()
    assert run(
        study, backend=backend, scheduler=scheduler or SerialScheduler(), store=store, block_trials=block_trials
    ).complete
    return bytes_of(store.read, study)


@pytest.fixture(scope="module")
def expected():
    """Columns of one block for each network, one thread, this process."""
    return {name: rows(backend(), block_trials=STUDY.trials) for name, backend in BACKENDS.items()}


@pytest.fixture(scope="module", params=[1, 2])
def workers(request):
    with closing(DaskScheduler(workers=request.param)) as scheduler:
        yield scheduler


@pytest.mark.fault("D8")
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(("block_trials", "threads"), [(1, 1), (7, 2), (64, 2), (None, 1)])
def test_block_sizes_and_threads(expected, name, block_trials, threads):
    assert rows(BACKENDS[name](threads=threads), block_trials=block_trials) == expected[name]


@pytest.mark.fault("D8")
@pytest.mark.parametrize("name", BACKENDS)
def test_processes(expected, workers, name):
    assert rows(BACKENDS[name](), workers, block_trials=9) == expected[name]


@pytest.mark.fault("D8")
@pytest.mark.parametrize("name", BACKENDS)
def test_stopping_often_and_growing_the_design(expected, name):
    store = MemoryStore()
    backend, scheduler = BACKENDS[name](), SerialScheduler()
    for trials in (11, STUDY.trials):
        study, n_runs = mixed_design(trials=trials), 0
        while True:
            stop = StopRequest()
            stop_soon = StopAfter(stop, n_blocks=3)
            report = run(
                study, backend=backend, scheduler=scheduler, store=Counting(store, stop_soon), stop=stop, block_trials=5
            )
            n_runs += 1
            if not report.stopped:
                break
        assert report.complete
        assert n_runs > 2
    assert bytes_of(store.read, STUDY) == expected[name]


class StopAfter:
    """Requests a stop after some blocks."""

    def __init__(self, stop, *, n_blocks):
        self._stop, self._left = stop, n_blocks

    def __call__(self):
        self._left -= 1
        if self._left == 0:
            self._stop.request()


class Counting:
    """A store that tells of every append."""

    def __init__(self, store, tell):
        self._store, self._tell = store, tell

    def append(self, batches):
        self._store.append(batches)
        self._tell()

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_point_alone_has_the_rows_it_has_in_company(expected):
    backend = CpuBackend()
    alone = []
    for point in STUDY.points():
        study = type(STUDY)(cells=(point,), trials=STUDY.trials, networks=STUDY.networks)
        alone += rows(backend, study=study)
    assert alone == expected["cpu"]


def test_rows_differ_between_trials_and_seeds(expected):
    columns = {(digest, name): data for digest, name, data in expected["cpu"]}
    point = STUDY.points()[0]
    gaps = np.frombuffer(columns[point.digest(), "gap_lower"])
    assert len(set(gaps.tolist())) == STUDY.trials
