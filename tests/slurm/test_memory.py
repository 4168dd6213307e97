"""A job that takes more memory than it asked for is killed by SLURM itself; its block is blamed, the others are there."""

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from simprune.design.cluster import Cluster
from simprune.engine import run
from simprune.schedulers.place import Place
from simprune.store.memory import MemoryStore
from tests.engine.hash_backend import HashBackend, design
from tests.engine.test_loop import assert_same_rows
from tests.slurm.conftest import private_slurm

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
MIB = 1 << 20


def why_no_memory_limits():
    """None where SLURM can limit the memory of jobs, else the reason: version 1 of cgroups that root may write."""
    group = Path("/sys/fs/cgroup/memory/simprune-probe")
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(100 * MIB))
        group.rmdir()
    except OSError as error:
        return f"the memory of SLURM jobs cannot be limited here: {error}"
    return None


@pytest.fixture(scope="module")
def strict_slurm(tmp_path_factory):
    if reason := why_no_memory_limits():
        pytest.skip(reason)
    yield from private_slurm(tmp_path_factory.mktemp("strict"), nodes=1, enforce_memory=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glutton(HashBackend):
    """Takes 2 GiB at once for trial 5: faster than Dask's own watch over the memory, which looks every 0.1 s."""

    def run(self, block):
        if block.first <= 5 < block.stop:
            np.ones(2048 * MIB // 8)
        return HashBackend.run(self, block)


@pytest.mark.fault("C1")
def test_a_job_out_of_memory_costs_its_block_alone(strict_slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    study, store = design(trials=12, widths=(4,), alphas=(0.5,)), MemoryStore()
    place = Place(scheduler="slurm", cluster=Cluster(jobs=2, interface="lo", memory="600MB"))
    with contextlib.closing(place.open(tmp_path)) as scheduler:
        report = run(study, backend=Glutton(), scheduler=scheduler, store=store, block_trials=3)
    assert [f.trial for f in report.failed] == [5]
    assert report.failed[0].reason == "its worker process died (killed, out of memory, or crashed)"
    assert_same_rows(store, study, without=(5,))
    time.sleep(1.0)
    states = subprocess.run(["scontrol", "show", "job", "--oneliner"], capture_output=True, text=True, check=True).stdout
    assert "JobState=OUT_OF_MEMORY" in states or "oom" in logs_of(strict_slurm).lower()


def logs_of(slurm):
    return "".join(path.read_text() for path in (slurm.folder / "log").glob("slurmd*.log"))
