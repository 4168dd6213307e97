"""What a block costs the process that hands it out and stores it: driver and Dask scheduler together, processor time."""

import subprocess
import sys
import tempfile
from pathlib import Path

from bench_clock import head, row
from bench_runs import DESIGN

JOB = """
import sys, time
from contextlib import closing
import numpy as np
from simprune import load_design
from simprune.backends.reference import ReferenceBackend
from simprune.engine import run
from simprune.records import TrialBatch, column_shape, columns_of
from simprune.schedulers.dask import DaskScheduler
from simprune.store.folder import FolderStore

class Sleeping(ReferenceBackend):
    def run(self, block):
        time.sleep(SECONDS)
        info = {"seconds": 1.0}
        batches = []
        for point in block.points:
            made = {c.name: np.zeros(column_shape(c, point, block.n_trials), dtype=c.dtype) for c in columns_of(point)}
            made["trial"] = np.arange(block.first, block.stop)
            batches.append(TrialBatch(point=point, first=block.first, stop=block.stop, columns=made, info=info))
        return batches

def cpu_seconds(trials, rows, seconds):
    global SECONDS
    SECONDS = seconds
    design = load_design(sys.argv[1])
    design = type(design)(cells=design.cells, trials=trials)
    with FolderStore.open(f"{sys.argv[2]}/{trials}-{rows}", design, provenance={}) as store:
        started, begun = time.process_time(), time.perf_counter()
        report = run(design, backend=Sleeping(), scheduler=scheduler, store=store, block_trials=rows)
        assert report.n_computed == trials
    return time.process_time() - started, time.perf_counter() - begun

with closing(DaskScheduler(workers=2)) as scheduler:
    cpu_seconds(20, 1, 0.0)
    for rows in (1, 1000, 10000):
        blocks = 300 if rows < 10000 else 60
        print(cpu_seconds(blocks * rows + 1, rows, 0.0)[0] / blocks)
    spent, wall = cpu_seconds(4001, 100, 1.0)
    print(spent / wall / 2)
"""


def overhead():
    head("What a block costs driver and Dask scheduler (one process), processor time")
    with tempfile.TemporaryDirectory() as folder:
        design, job = Path(folder) / "design.toml", Path(folder) / "job.py"
        design.write_text(DESIGN.format(trials=1, steps=0))
        job.write_text(JOB)
        command = [sys.executable, str(job), str(design), folder]
        lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    *costs, share = map(float, lines)
    for rows, cost in zip((1, 1000, 10000), costs, strict=True):
        row(f"a block of {rows} rows, stored", f"{1e3 * cost:.1f} ms", "", met=None)
    row("share of two workers' time, blocks of 1 s", f"{100 * share:.2f} %", "< 5 %", met=share < 0.05)
    row("workers that one process feeds, blocks of 1 s", f"{0.5 / costs[1]:.0f}", "half of one core", met=None)
