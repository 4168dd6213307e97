"""Start-up, Dask overhead, two workers against one, and memory: whole processes, wall clock."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_clock import PEAK, head, row

DESIGN = """
name = "bench"
seed = 1
trials = {trials}
[[networks]]
width = 64
depth = 3
[[rules]]
name = "magnitude"
alpha = 0.3
[estimators.ascent]
restarts = 16
steps = {steps}
[estimators.spectral]
"""


def seconds_of(command, **options):
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, **options)
    return time.perf_counter() - started


def _told_by(command, **options):
    return float(subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout)


def start_up():
    head("Start-up, wall clock")
    program = [sys.executable, "-m", "simprune.cli"]
    helps = statistics.median(seconds_of([*program, "--help"]) for _ in range(7))
    row("simprune --help", f"{helps:.2f} s", "<= 0.3 s", met=helps <= 0.3)
    code = (
        "from simprune import load_design\n"
        "from simprune.backends.cpu import CpuBackend\n"
        "from simprune.design.block import Block\n"
        "import sys, time\n"
        "started = time.perf_counter()\n"
        "points = load_design(sys.argv[1]).points()\n"
        "CpuBackend().run(Block(points=points, first=0, stop=1))\n"
        "print(time.perf_counter() - started)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        design = Path(folder) / "design.toml"
        design.write_text(DESIGN.format(trials=1, steps=3))
        environment = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": folder, "HOME": folder}
        command = [sys.executable, "-c", code, str(design)]
        cold = seconds_of(command, env=environment)
        warm = statistics.median(_told_by(command, env=environment) for _ in range(5))
        design.write_text(DESIGN.format(trials=20, steps=3))
        again = [*program, "run", str(design), "-o", f"{folder}/results"]
        seconds_of(again)
        nothing = statistics.median(seconds_of(again) for _ in range(5))
    row("first trial of a process, kernels compiled, with imports", f"{cold:.1f} s", "<= 20 s", met=cold <= 20)
    row("first trial of a process, kernels cached, after imports", f"{warm:.2f} s", "<= 1 s", met=warm <= 1)
    row("run with nothing to do", f"{nothing:.2f} s", "< 2 s", met=nothing < 2)


RUN = """
import sys, time
from simprune import load_design
from simprune.backends.cpu import CpuBackend
from simprune.engine import run
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore

def timed(design, scheduler):
    started = time.perf_counter()
    report = run(design, backend=CpuBackend(), scheduler=scheduler, store=MemoryStore())
    assert report.n_computed == design.trials
    return time.perf_counter() - started

warm_up, study = load_design(sys.argv[1]), load_design(sys.argv[2])
schedulers = {"serial": SerialScheduler(), "one": DaskScheduler(workers=1), "two": DaskScheduler(workers=2)}
for scheduler in schedulers.values():
    timed(warm_up, scheduler)
for _ in range(int(sys.argv[3])):
    print(*(timed(study, scheduler) for scheduler in schedulers.values()))
for scheduler in schedulers.values():
    scheduler.close()
"""


def scheduling():
    head("Dask: local worker processes, blocks of about 1 s, wall clock (needs a quiet machine)")
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.toml", Path(folder) / "large.toml"
        small.write_text(DESIGN.format(trials=200, steps=30))
        large.write_text(DESIGN.format(trials=20000, steps=30))
        script = Path(folder) / "job.py"
        script.write_text(RUN)
        command = [sys.executable, str(script), str(small), str(large), "2"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rounds = [[float(value) for value in line.split()] for line in lines]
    overhead = statistics.median(one / serial - 1 for serial, one, _ in rounds)
    speed = statistics.median(one / two for _, one, two in rounds)
    row("one Dask worker against none: extra time", f"{overhead * 100:.1f} %", "< 5 %", met=overhead < 0.05)
    row("two workers against one", f"{speed:.2f} x", ">= 1.85 x", met=speed >= 1.85)


RUN_ALONE = f"""
import sys
import simprune
simprune.run(sys.argv[1], sys.argv[2], scheduler="serial")
{PEAK}
print(peak)
"""


def memory():
    head("Peak memory of a run by number of trials (serial, MiB)")
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for trials in (2000, 20000, 60000):
            design = Path(folder) / f"{trials}.toml"
            design.write_text(DESIGN.format(trials=trials, steps=0))
            command = [sys.executable, "-c", RUN_ALONE, str(design), f"{folder}/{trials}"]
            peaks[trials] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
    value = ", ".join(f"{trials}: {peak:.0f}" for trials, peak in peaks.items())
    growth = max(peaks.values()) - min(peaks.values())
    row("trials: MiB", value, "growth < 32 MiB", met=growth < 32)
