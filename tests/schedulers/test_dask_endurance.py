"""Long fault tests: memory of the driver over many blocks, blocks that want too much memory, work inside an event loop."""

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass

import numpy as np
import psutil
import pytest

from simprune.design.block import Block
from simprune.engine import run
from simprune.schedulers import pool
from simprune.schedulers.dask import MIN_WINDOW, DaskScheduler
from simprune.store.memory import MemoryStore
from tests.engine.hash_backend import HashBackend, design
from tests.engine.test_loop import assert_same_rows

MIB = 1 << 20


@pytest.mark.fault("D7")
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_driver_memory_does_not_grow_with_the_number_of_blocks():
    points = design(trials=1, widths=(4,)).points()[:1]
    process, n_known = psutil.Process(), []
    with contextlib.closing(DaskScheduler(workers=2)) as scheduler:

        def work(first, stop):
            blocks = (Block(points=points, first=i, stop=i + 1) for i in range(first, stop))
            for i, outcome in enumerate(scheduler.map(HashBackend().run, blocks)):
                assert outcome is None or outcome.failure is None
                if i % 200 == 0:
                    n_known.append(len(scheduler._pool._cluster.scheduler.tasks))

        work(0, 500)
        before = process.memory_info().rss
        work(500, 20_500)
        growth = process.memory_info().rss - before
    assert growth < 50 * MIB
    # A task that ended is forgotten a moment after its result was taken.
    assert max(n_known) <= 2 * MIN_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Hog(HashBackend):
    """Takes 1.5 GiB for trial 5."""

    def run(self, block):
        held = []
        if block.first <= 5 < block.stop:
            for _ in range(30):
                held.append(np.ones(50 * MIB // 8))
                time.sleep(0.05)
        return HashBackend.run(self, block)


@pytest.mark.fault("D6")
@pytest.mark.slow
def test_a_block_that_wants_too_much_memory_is_reported(monkeypatch):
    monkeypatch.setattr(pool, "MEMORY_SHARE", 2 * 500 * MIB / pool.MEMORY_LIMIT)
    study, store = design(trials=12, widths=(4,), alphas=(0.5,)), MemoryStore()
    with contextlib.closing(DaskScheduler(workers=2)) as scheduler:
        report = run(study, backend=Hog(), scheduler=scheduler, store=store, block_trials=3)
    assert [(f.trial, f.reason) for f in report.failed] == [
        (5, "its worker process died (killed, out of memory, or crashed)")
    ]
    assert_same_rows(store, study, without=(5,))


@pytest.mark.slow
def test_it_works_inside_a_running_event_loop_as_in_a_notebook():
    study, store = design(trials=30), MemoryStore()

    async def cell():
        with contextlib.closing(DaskScheduler(workers=2)) as scheduler:
            return run(study, backend=HashBackend(), scheduler=scheduler, store=store)

    assert asyncio.run(cell()).complete
    assert_same_rows(store, study)
    assert "NUMBA_NUM_THREADS" not in os.environ
