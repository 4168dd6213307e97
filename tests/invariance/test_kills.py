"""A run whose driver and workers are killed at random ends with the bytes of a quiet serial run."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from simprune.backends.reference import ReferenceBackend
from simprune.engine import run
from simprune.schedulers.serial import SerialScheduler
from simprune.store.folder import FolderStore
from simprune.store.memory import MemoryStore
from simprune.store.results import open_results
from tests.invariance.campaign import TRIALS
from tests.invariance.studies import bytes_of, whole_design

N_KILLS = 20
ROOT = Path(__file__).resolve().parents[2]


def begin(folder, **keywords):
    command = [sys.executable, "-m", "tests.invariance.campaign", str(folder / "results")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    with (folder / "log").open("a") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment, **keywords)


def workers_of(process):
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def gone(processes, seconds):
    end = time.monotonic() + seconds
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def live(process, chance, *, seconds, may_kill):
    """Let the driver live for a while, kill workers now and then; return their number and the last workers seen."""
    n_killed, workers = 0, []
    end = time.monotonic() + seconds
    next_kill = time.monotonic() + 2.5
    while process.poll() is None and time.monotonic() < end:
        workers = workers_of(process) or workers
        if workers and n_killed < may_kill and time.monotonic() > next_kill:
            with contextlib.suppress(psutil.NoSuchProcess):
                chance.choice(workers).kill()
                n_killed += 1
            next_kill = time.monotonic() + chance.uniform(0.5, 2.5)
        time.sleep(0.05)
    return n_killed, workers


def expected_rows(design):
    store = MemoryStore()
    assert run(design, backend=ReferenceBackend(), scheduler=SerialScheduler(), store=store).complete
    return bytes_of(store.read, design)


def assert_complete_and_equal(folder, design):
    results = open_results(folder / "results")
    assert not results.problems
    assert not results.failed
    assert bytes_of(results.table, design) == expected_rows(design)
    with FolderStore.open(folder / "results", design, provenance={}) as store:
        assert store.quarantined == ()
        assert [store.completed(point) for point in design.points()] == [((0, design.trials),)] * len(design.points())


@pytest.mark.fault("D1", "D2")
@pytest.mark.slow
def test_twenty_kills(tmp_path):
    chance, design = random.Random(20260101), whole_design(trials=TRIALS)
    n_driver = n_worker = 0
    code = None
    for _ in range(40):
        process = begin(tmp_path)
        left = N_KILLS - n_driver - n_worker
        seconds = chance.uniform(3.0, 7.0) if left > 0 else 300.0
        killed, workers = live(process, chance, seconds=seconds, may_kill=min(left - 1, 2))
        n_worker += killed
        if process.poll() is None:
            process.kill()
            n_driver += 1
        code = process.wait()
        assert gone(workers, 5), "workers must not outlive their driver"
        if code == 0:
            break
    log = (tmp_path / "log").read_text()
    assert (code, n_driver + n_worker) == (0, N_KILLS), log
    assert n_driver >= 5
    assert n_worker >= 5
    assert "Traceback" not in log
    assert_complete_and_equal(tmp_path, design)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_stops_cleanly_and_soon(tmp_path, number):
    process = begin(tmp_path, start_new_session=True)
    _, workers = live(process, random.Random(0), seconds=8.0, may_kill=0)
    os.killpg(process.pid, number)
    begun = time.monotonic()
    assert process.wait(timeout=30) == 75
    assert time.monotonic() - begun < 8
    assert len(workers) == 2
    assert gone(workers, 5)
    before, computed, missing, failed, stopped = (tmp_path / "log").read_text().split()
    assert (before, failed, stopped) == ("0", "0", "True")
    assert int(computed) > 0
    assert int(computed) + int(missing) == TRIALS * len(whole_design(trials=1).points())
    assert [p.name for p in tmp_path.iterdir() if "workers" in p.name] == []
