"""What a task of an srun does that comes after the run is over, without SLURM."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers import srun
from simprune.schedulers.keys import make_keys


@pytest.fixture
def task(monkeypatch, tmp_path):
    """Make this process the third task of an srun, with ``tmp_path`` as results; return its meeting place."""
    for name, value in {"PROCID": 2, "NTASKS": 3, "JOB_ID": 7, "STEP_ID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield srun.meeting_place(tmp_path)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_worker_that_finds_the_run_over_ends_well(task, tmp_path):
    task.mkdir(parents=True)
    (task / srun.OVER).touch()
    with pytest.raises(SystemExit) as end:
        srun.serve(Cluster(), folder=tmp_path)
    assert end.value.code == 0


def test_a_requeued_job_meets_elsewhere(task, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert srun.meeting_place(tmp_path) != task


@pytest.mark.parametrize("error", [RuntimeError("the scheduler is gone"), ConnectionRefusedError("refused")])
def test_a_worker_whose_run_ends_while_it_joins_ends_well(task, tmp_path, monkeypatch, error):
    make_keys(task)

    def join(*_):
        (task / srun.OVER).touch()
        raise error

    monkeypatch.setattr(srun, "_join", join)
    with pytest.raises(SystemExit) as end:
        srun.serve(Cluster(), folder=tmp_path)
    assert end.value.code == 0


def test_a_worker_that_cannot_join_a_run_under_way_fails(task, tmp_path, monkeypatch):
    make_keys(task)

    def join(*_):
        raise RuntimeError("the scheduler does not answer")

    monkeypatch.setattr(srun, "_join", join)
    with pytest.raises(RuntimeError, match="does not answer"):
        srun.serve(Cluster(), folder=tmp_path)


def test_a_worker_without_keys_gives_up(task, tmp_path, monkeypatch):
    monkeypatch.setattr(srun, "START_SECONDS", 0.3)
    with pytest.raises(InputError, match="must put its keys into"):
        srun.serve(Cluster(), folder=tmp_path)


STUCK = """
import sys, time
from pathlib import Path
from simprune.design.cluster import Cluster
from simprune.schedulers import srun
from simprune.schedulers.keys import make_keys
folder = Path(sys.argv[1])
own = srun.meeting_place(folder)
make_keys(own)
srun.GRACE_SECONDS = 0.5
def join(*_):
    (own / srun.OVER).touch()
    time.sleep(300)
srun._join = join
srun.serve(Cluster(), folder=folder)
"""


def test_a_worker_that_would_wait_forever_for_a_run_that_is_over_ends_well(task, tmp_path):
    command = [sys.executable, "-c", STUCK, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
