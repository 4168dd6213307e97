import os
import subprocess
import sys
import time

import pytest

from simprune.engine import StopRequest, run
from simprune.engine.queue import MIN_BLAMED
from simprune.model.errors import InputError
from simprune.schedulers.base import AbstractScheduler
from simprune.schedulers.errors import SchedulerLost
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore
from tests.engine.hash_backend import HashBackend, columns, design


def assert_same_rows(store, study, *, without=()):
    """The store holds the trials of the design that are not in ``without``, each once and bit for bit."""
    for point in study.points():
        table = store.read(point)
        expected = columns(point, 0, study.trials)
        kept = [trial for trial in range(study.trials) if trial not in without]
        for name, column in expected.items():
            assert table[name].tobytes() == column[kept].tobytes()


class Recorder(AbstractScheduler):
    """A serial scheduler that keeps the blocks it was given."""

    def __init__(self):
        self.blocks, self.alone = [], []

    def map(self, compute, blocks, *, alone=False):
        def noted():
            for block in blocks:
                self.blocks.append(block)
                self.alone.append(alone)
                yield block

        yield from SerialScheduler().map(compute, noted(), alone=alone)

    def close(self):
        raise AssertionError("the caller closes the scheduler")


def test_an_empty_store_is_completed():
    study, store = design(trials=60), MemoryStore()
    report = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert (report.n_target, report.n_before, report.n_computed, report.n_missing) == (360, 0, 360, 0)
    assert report.complete
    assert not report.stopped
    assert_same_rows(store, study)


def test_a_complete_store_starts_nothing():
    study, store = design(trials=20), MemoryStore()
    run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    recorder, shown = Recorder(), []
    report = run(study, backend=HashBackend(), scheduler=recorder, store=store, progress=shown.append)
    assert recorder.blocks == []
    assert (report.n_computed, report.complete) == (0, True)
    assert [(p.done, p.finished) for p in shown] == [(120, True)]


def test_trials_are_a_target_and_only_new_ones_are_computed():
    store, recorder = MemoryStore(), Recorder()
    run(design(trials=20), backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    grown = design(trials=35)
    report = run(grown, backend=HashBackend(), scheduler=recorder, store=store)
    assert sum(b.n_trials * len(b.points) for b in recorder.blocks) == report.n_computed == 15 * 6
    assert min(b.first for b in recorder.blocks) == 20
    assert_same_rows(store, grown)


@pytest.mark.parametrize("size", [1, 7, 64])
def test_block_size_changes_no_row(size):
    study, store, recorder = design(trials=50), MemoryStore(), Recorder()
    run(study, backend=HashBackend(), scheduler=recorder, store=store, block_trials=size)
    assert max(b.n_trials for b in recorder.blocks) == min(size, 50)
    assert_same_rows(store, study)


def test_bad_trials_are_reported_and_the_rest_completes():
    study, store, recorder = design(trials=200), MemoryStore(), Recorder()
    report = run(study, backend=HashBackend(raises=(0, 57, 199)), scheduler=recorder, store=store, block_trials=50)
    told = {(f.point, f.trial, f.reason) for f in report.failed}
    assert told == {(p, t, f"ArithmeticError: trial {t} is bad") for p in study.points() for t in (0, 57, 199)}
    assert (report.n_missing, report.complete, report.n_given_up) == (18, False, 0)
    assert_same_rows(store, study, without=(0, 57, 199))
    assert recorder.alone == sorted(recorder.alone)
    assert {(f.digest, f.first) for f in store.failed} == {(p.digest(), t) for p in study.points() for t in (0, 57, 199)}


def test_failed_trials_are_tried_again_by_the_next_run():
    study, store = design(trials=30), MemoryStore()
    first = run(study, backend=HashBackend(raises=(3,)), scheduler=SerialScheduler(), store=store)
    assert first.n_missing == 6
    second = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert (second.n_computed, second.complete, store.failed) == (6, True, ())
    assert_same_rows(store, study)


def test_only_the_bad_point_of_a_network_is_blamed():
    study, store = design(trials=30), MemoryStore()
    bad = study.points()[4]
    report = run(study, backend=HashBackend(raises=(3,), only_point=bad.digest()), scheduler=SerialScheduler(), store=store)
    assert [(f.point, f.trial) for f in report.failed] == [(bad, 3)]


def test_a_network_that_always_fails_does_not_stop_the_others():
    study, store = design(trials=1000), MemoryStore()
    bad = study.points()[0].network

    class Broken(HashBackend):
        def run(self, block):
            if block.points[0].network == bad:
                raise MemoryError("too large")
            return HashBackend.run(self, block)

    report = run(study, backend=Broken(), scheduler=SerialScheduler(), store=store)
    assert report.n_computed == 3000
    assert len({f.trial for f in report.failed}) == MIN_BLAMED
    assert report.n_given_up == report.n_missing - len(report.failed) > 2900


def test_an_input_error_of_the_backend_ends_the_run_in_its_own_words():
    class NoDevice(HashBackend):
        def run(self, block):
            raise InputError("a GPU must be there, got none; take another backend")

    with pytest.raises(InputError, match="a GPU must be there"):
        run(design(trials=5), backend=NoDevice(), scheduler=SerialScheduler(), store=MemoryStore())


def test_a_stop_keeps_what_is_stored_and_the_next_run_completes():
    study, store, stop = design(trials=100), MemoryStore(), StopRequest()

    class Stopping(MemoryStore):
        def append(self, batches):
            store.append(batches)
            if sum(b.stop - b.first for b in batches) > 20:
                stop.request()

        completed = store.completed

    report = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=Stopping(), stop=stop, block_trials=10)
    assert (report.stopped, report.n_computed) == (True, 30)
    again = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert (again.stopped, again.n_before, again.complete) == (False, 30, True)
    assert_same_rows(store, study)


def test_a_stop_after_the_last_block_is_no_stop():
    study, stop = design(trials=3), StopRequest()
    shown = []

    def watch(progress):
        shown.append(progress)
        if progress.done == progress.target:
            stop.request()

    report = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=MemoryStore(), progress=watch, stop=stop)
    assert not report.stopped
    assert report.complete


def test_a_full_disk_ends_the_run_and_keeps_the_reason():
    class Full(MemoryStore):
        def append(self, batches):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(design(trials=5), backend=HashBackend(), scheduler=SerialScheduler(), store=Full())


def test_a_lost_scheduler_flushes_what_arrived():
    class Losing(SerialScheduler):
        def map(self, compute, blocks, *, alone=False):
            yield from (next(iter(super(Losing, self).map(compute, [block]))) for block in [next(iter(blocks))])
            raise SchedulerLost("gone")

    class Flushed(MemoryStore):
        flushes = 0

        def flush(self):
            self.flushes += 1

    store = Flushed()
    with pytest.raises(SchedulerLost):
        run(design(trials=5), backend=HashBackend(), scheduler=Losing(), store=store)
    assert store.flushes == 1
    assert store.read(design(trials=5).points()[0]).n_trials == 1


def test_progress_ends_complete_and_is_rare():
    shown, begun = [], time.monotonic()
    study = design(trials=100)
    backend = HashBackend(seconds_per_trial=0.002)
    run(study, backend=backend, scheduler=SerialScheduler(), store=MemoryStore(), progress=shown.append, block_trials=2)
    elapsed = time.monotonic() - begun
    assert len(shown) <= elapsed / 0.25 + 2
    assert shown[0].done == 0
    assert (shown[-1].done, shown[-1].finished) == (600, True)
    assert [p.done for p in shown] == sorted(p.done for p in shown)


def test_importing_the_engine_and_the_schedulers_loads_no_heavy_library():
    code = (
        "import sys, simprune.engine, simprune.schedulers.serial, simprune.schedulers.dask\n"
        "print(sorted({'numba', 'h5py', 'dask', 'distributed', 'scipy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert out.stdout.strip() == "[]"
