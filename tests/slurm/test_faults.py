"""Jobs, nodes and the driver die on a SLURM of two nodes; the rows are those of an undisturbed serial run."""

import time

import pytest

from simprune.store.results import open_results
from tests.engine.test_loop import assert_same_rows
from tests.schedulers.waiting import wait_until
from tests.slurm.campaign import STUDY, release_of
from tests.slurm.conftest import PATIENCE
from tests.store.test_merging import rows_of

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def running(slurm):
    return slurm.call("squeue", "-h", "-t", "running", "-o", "%i").split()


def stored(folder):
    try:
        return sum(stop - first for p in STUDY.points() for first, stop in open_results(folder).completed(p))
    except ValueError:
        return 0


def wait_for_rows(folder, more, process):
    goal = stored(folder) + more
    assert wait_until(lambda: stored(folder) >= goal or process.poll() is not None, PATIENCE)
    assert process.poll() is None, (folder.parent / "log").read_text()


def working(slurm, folder):
    """Running jobs whose worker is known to the scheduler."""
    logs = {job: folder / "cluster" / "logs" / f"simprune-{job}.err" for job in running(slurm)}
    return {job for job, log in logs.items() if log.exists() and "Registered to" in log.read_text()}


def wait_for_replacement(slurm, folder, gone):
    begun = time.monotonic()
    assert wait_until(lambda: len(working(slurm, folder) - set(gone)) == 2, PATIENCE), slurm.call("squeue")
    print(f"{gone} replaced after {time.monotonic() - begun:.1f} s")


@pytest.mark.fault("C1")
def test_driver_jobs_and_nodes_die_and_nothing_is_lost(slurm, tmp_path, campaign):
    folder = tmp_path / "results"
    process = campaign()
    wait_for_rows(folder, 30, process)
    process.kill()
    process.wait()
    begun = time.monotonic()
    assert wait_until(lambda: not slurm.jobs(), PATIENCE), slurm.call("squeue")
    print(f"queue empty {time.monotonic() - begun:.1f} s after the death of the driver")

    process = campaign()
    wait_for_rows(folder, 30, process)
    for command in (("scancel",), ("scontrol", "requeue")):
        wait_for_replacement(slurm, folder, [])
        job = max(running(slurm), key=int)
        slurm.call(*command, job)
        wait_for_replacement(slurm, folder, [job])
    node = slurm.call("squeue", "-h", "-t", "running", "-o", "%N").split()[0]
    lost = slurm.kill_node(node)
    assert lost
    wait_for_replacement(slurm, folder, lost)
    slurm.start_node(node)
    release_of(folder).touch()
    assert process.wait(timeout=600) == 0, (tmp_path / "log").read_text()
    results = open_results(folder)
    assert (results.problems, results.failed) == ({}, ())
    assert_same_rows(rows_of(folder), STUDY)
    assert wait_until(lambda: not slurm.jobs(), PATIENCE)
    assert [path.name for path in (folder / "cluster").iterdir()] == ["logs"]


@pytest.mark.fault("C1")
def test_workers_end_before_their_time_is_up_and_others_follow(slurm, tmp_path, campaign):
    folder = tmp_path / "results"
    process = campaign("00:01:00")
    seen = set()
    assert wait_until(lambda: seen.update(running(slurm)) or len(seen) >= 4, 4 * PATIENCE)
    wait_for_rows(folder, 10, process)
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 75
    states = slurm.call("scontrol", "show", "job", "--oneliner").splitlines()
    assert not any("JobState=TIMEOUT" in line for line in states)
    before, computed, _, failed, stopped = (tmp_path / "log").read_text().split()
    assert (before, failed, stopped) == ("0", "0", "True")
    assert stored(folder) == int(computed)
