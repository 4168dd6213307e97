"""Long fault tests: a worker that holds its interpreter for ever, a worker that was given up and comes back."""

import contextlib
import ctypes
import functools
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from simprune.design.cluster import Cluster
from simprune.engine import run
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.pool import RemotePool
from simprune.store.folder import FolderStore
from simprune.store.memory import MemoryStore
from simprune.store.segment import read_entries
from tests.engine.hash_backend import HashBackend, design
from tests.engine.test_loop import assert_same_rows
from tests.schedulers.external import external_cluster
from tests.schedulers.waiting import wait_until, workers_of
from tests.store.test_merging import rows_of

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder(HashBackend):
    """At trial 5 it sleeps in C without letting its interpreter go, so that no thread of the process runs."""

    def run(self, block):
        if block.first <= 5 < block.stop:
            ctypes.PyDLL(None).sleep(3600)
        return HashBackend.run(self, block)


@pytest.mark.fault("D4")
def test_a_block_that_holds_its_interpreter_is_killed_reported_and_the_pool_is_whole_again():
    study, store = design(trials=12, widths=(4,), alphas=(0.5,)), MemoryStore()
    with contextlib.closing(DaskScheduler(workers=2, deadline=5.0)) as scheduler:
        report = run(study, backend=Holder(), scheduler=scheduler, store=store, block_trials=4)
        assert [(f.trial, f.reason) for f in report.failed] == [(5, "it ran longer than the deadline of 5 s")]
        assert_same_rows(store, study, without=(5,))
        assert wait_until(lambda: len(workers_of(os.getpid())) == 2, 60)
        assert run(study, backend=HashBackend(), scheduler=scheduler, store=store).complete


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowUntil(HashBackend):
    """A pause for every trial until the file exists."""

    release: str

    def run(self, block):
        seconds = 0.0 if Path(self.release).exists() else 0.2
        return HashBackend.run(replace(self, seconds_per_trial=seconds), block)


def computations(diary):
    """How often each block was begun."""
    lines = [tuple(line.split()[1:]) for line in diary.read_text().splitlines()] if diary.exists() else []
    return {block: lines.count(block) for block in set(lines)}


@pytest.mark.fault("D5")
def test_a_stopped_worker_is_given_up_and_what_it_still_computes_is_stored_once(tmp_path):
    study, diary, release = design(trials=400, widths=(4,)), tmp_path / "diary", tmp_path / "release"
    backend = SlowUntil(release=str(release), diary=str(diary))
    steps = []

    def disturb(progress):
        if not steps and progress.done > 30:
            os.kill(external.workers[0].pid, signal.SIGSTOP)
            steps.append("stopped")
        if steps == ["stopped"] and max(computations(diary).values()) > 1:
            # Its block was begun again elsewhere: now it goes on with it.
            os.kill(external.workers[0].pid, signal.SIGCONT)
            steps.append("woken")
            steps.append(time.monotonic())
        if len(steps) == 3 and time.monotonic() > steps[2] + 5.0:
            release.touch()

    given_up_soon = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "5s"}
    with external_cluster(tmp_path, workers=2, nanny=False, environment=given_up_soon) as external:
        open_pool = functools.partial(RemotePool, external.address, cluster=Cluster())
        with (
            FolderStore.open(tmp_path / "results", study, provenance={}) as store,
            contextlib.closing(DaskScheduler(open_pool=open_pool)) as scheduler,
        ):
            report = run(study, backend=backend, scheduler=scheduler, store=store, progress=disturb, block_trials=5)
    assert steps[:2] == ["stopped", "woken"]
    assert (report.complete, report.failed) == (True, ())
    entries = [entry for path in (tmp_path / "results" / "segments").iterdir() for entry in read_entries(path)]
    assert sum(entry.stop - entry.first for entry in entries) == 400 * 3
    assert_same_rows(rows_of(tmp_path / "results"), study)
