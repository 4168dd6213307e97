"""What a block costs the process that hands it out and stores it: driver and Dask scheduler together, processor time."""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench_clock import head, row
from bench_runs import DESIGN

from simprune import load_design
from simprune.backends.reference import ReferenceBackend
from simprune.records import TrialBatch, column_shape, columns_of

# A process of its own, so that the workers' class is found by name as that of a real backend is.
JOB = "import sys, bench_scheduler; bench_scheduler.measure(*sys.argv[1:])"
ROWS = (1, 1000, 10000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeping(ReferenceBackend):
    """Returns rows of zeros after a while."""

    seconds: float

    def run(self, block):
        time.sleep(self.seconds)
        batches = []
        for point in block.points:
            made = {c.name: np.zeros(column_shape(c, point, block.n_trials), dtype=c.dtype) for c in columns_of(point)}
            made["trial"] = np.arange(block.first, block.stop)
            info = {"seconds": 1.0}
            batches.append(TrialBatch(point=point, first=block.first, stop=block.stop, columns=made, info=info))
        return batches


def measure(path, folder):
    """Print the processor seconds of a block of 1, 1000 and 10,000 rows, and the share at blocks of a second."""
    from simprune.engine import run
    from simprune.schedulers.dask import DaskScheduler
    from simprune.store.folder import FolderStore

    def spend(n_blocks, rows, seconds):
        design = replace(load_design(path), trials=n_blocks * rows + 1)
        with FolderStore.open(f"{folder}/{n_blocks}-{rows}", design, provenance={}) as store:
            started, begun = time.process_time(), time.perf_counter()
            report = run(design, backend=Sleeping(seconds=seconds), scheduler=scheduler, store=store, block_trials=rows)
            assert report.complete
        return time.process_time() - started, time.perf_counter() - begun

    with closing(DaskScheduler(workers=2)) as scheduler:
        spend(20, 1, 0.0)
        for rows in ROWS:
            n_blocks = 300 if rows < 10000 else 60
            print(spend(n_blocks, rows, 0.0)[0] / n_blocks)
        spent, wall = spend(40, 100, 1.0)
        print(spent / wall / 2)


def overhead():
    head("What a block costs driver and Dask scheduler (one process), processor time")
    with tempfile.TemporaryDirectory() as folder:
        design = Path(folder) / "design.toml"
        design.write_text(DESIGN.format(trials=1, steps=0))
        surroundings = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", JOB, str(design), folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=surroundings)
    *costs, share = map(float, done.stdout.split())
    for rows, cost in zip(ROWS, costs, strict=True):
        row(f"a block of {rows} rows, stored", f"{1e3 * cost:.1f} ms", "", met=None)
    row("share of two workers' time, blocks of 1 s", f"{100 * share:.2f} %", "< 5 %", met=share < 0.05)
    row("workers that one process feeds, blocks of 1 s", f"{0.5 / costs[1]:.0f}", "half of one core", met=None)
