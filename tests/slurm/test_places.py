"""The ways to run on SLURM give the rows of a serial run, and nobody else gets in."""

import re
import stat
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from simprune.design.file import load_design
from simprune.store.results import open_results
from tests.cli.calls import STUDY as SMALL
from tests.cli.calls import call
from tests.invariance.studies import bytes_of
from tests.schedulers.waiting import wait_until
from tests.slurm.conftest import PATIENCE, ROOT
from tests.slurm.test_faults import wait_for_rows, working

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
CLUSTER = """
[cluster]
jobs = 2
interface = "lo"
walltime = "01:00:00"
memory = "500MB"
"""
REFERENCE = ("--backend", "reference")


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(SMALL.replace("trials = 6", "trials = 25") + CLUSTER)
    assert call("run", path, *REFERENCE, "--scheduler", "serial", "-o", tmp_path / "serial").exit_code == 0
    return path


def rows(folder, study):
    results = open_results(folder)
    assert (results.problems, results.failed) == ({}, ())
    return bytes_of(results.table, load_design(study))


@pytest.mark.fault("D8")
def test_jobs_give_the_rows_of_a_serial_run(slurm, study):
    folder = study.parent / "slurm"
    command = [
        sys.executable,
        "-m",
        "simprune.cli",
        "run",
        str(study),
        *REFERENCE,
        "--scheduler",
        "slurm",
        "-o",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert rows(folder, study) == rows(study.parent / "serial", study)
    assert wait_until(lambda: not slurm.jobs(), PATIENCE)


def submit(slurm, *arguments):
    job = slurm.call("sbatch", "--parsable", *arguments).strip()
    assert wait_until(lambda: not slurm.call("squeue", "-h", "--jobs", job, check=False).strip(), 6 * PATIENCE)
    (state,) = set(re.findall(r"JobState=(\w+)", slurm.call("scontrol", "show", "job", job)))
    return state


def test_one_job_with_a_scheduler_of_its_own_gives_them(slurm, study):
    folder = study.parent / "job"
    (study.parent / "job.sh").write_text(call("job-script", "slurm", study, *REFERENCE, "-o", folder).stdout)
    output = study.parent / "out"
    assert submit(slurm, f"--output={output}", str(study.parent / "job.sh")) == "COMPLETED", output.read_text()
    assert "done: 200 rows computed" in output.read_text()
    assert "Traceback" not in output.read_text()
    assert rows(folder, study) == rows(study.parent / "serial", study)
    assert [path.name for path in (folder / "cluster").glob("*/*")] == ["over"]  # for tasks that come later
    assert submit(slurm, f"--output={output}2", str(study.parent / "job.sh")) == "COMPLETED"
    assert "nothing to do: all 200 rows" in (study.parent / "out2").read_text()


@pytest.mark.fault("C1")
def test_a_job_whose_time_is_up_stops_cleanly(slurm, study):
    study.write_text(study.read_text().replace("trials = 25", "trials = 100000"))
    folder, output = study.parent / "job", study.parent / "out"
    (study.parent / "job.sh").write_text(call("job-script", "slurm", study, *REFERENCE, "-o", folder).stdout)
    job = slurm.call("sbatch", "--parsable", f"--output={output}", str(study.parent / "job.sh")).strip()
    assert wait_until(lambda: output.exists() and "rows/s" in output.read_text(), PATIENCE), output.read_text()
    slurm.call("scancel", "--signal=TERM", job)
    assert wait_until(lambda: not slurm.jobs(), PATIENCE), output.read_text()
    assert "ExitCode=75:0" in slurm.call("scontrol", "show", "job", job)
    (told,) = re.findall(r"^stopped: (\d+) of 800000 rows are safe in ", output.read_text(), flags=re.MULTILINE)
    results = open_results(folder)
    assert int(told) == sum(stop - first for point in results.points for first, stop in results.completed(point)) > 0


@pytest.mark.fault("C2")
def test_a_job_array_without_a_scheduler_gives_them_when_merged(slurm, study):
    folder = study.parent / "array"
    script = call("job-script", "slurm", study, *REFERENCE, "-o", folder, "--array", "3").stdout
    (study.parent / "array.sh").write_text(script)
    (submission,) = re.findall(r"^#   (sbatch .*)$", script, flags=re.MULTILINE)
    slurm.call("bash", "-c", submission.replace("FILE", str(study.parent / "array.sh")))
    assert wait_until(lambda: folder.exists() and not slurm.jobs(), 6 * PATIENCE), slurm.call("squeue")
    assert len(list(study.parent.glob("array.[123]"))) == 3
    assert rows(folder, study) == rows(study.parent / "serial", study)


INTRUDER = """
import asyncio, sys
from pathlib import Path
from distributed.comm import connect
from simprune.schedulers.keys import make_keys, read_keys

foreign, right = make_keys(Path(sys.argv[1])), read_keys(Path(sys.argv[2]))

async def knock(address, **keys):
    comm = await connect(address, timeout=5, **keys)
    await comm.write({"op": "identity", "reply": True})
    return (await comm.read())["type"]

for port in sys.argv[3:]:
    for name, keys in (("plain", None), ("foreign", foreign), ("right", right)):
        address = f"{'tls' if keys else 'tcp'}://127.0.0.1:{port}"
        given = keys.get_connection_args("client") if keys else {}
        try:
            found = asyncio.run(asyncio.wait_for(knock(address, **given), 10))
        except (OSError, TypeError, ValueError, KeyError) as error:
            found = "refused"
        print(name, found)
"""


def listening(processes):
    found = []
    for process in processes:
        with suppress(psutil.Error):
            found += [c.laddr for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN]
    return found


@pytest.mark.fault("C2")
def test_connections_are_encrypted_and_nobody_else_gets_in(slurm, tmp_path, campaign):
    folder, process = tmp_path / "results", campaign()
    wait_for_rows(folder, 10, process)
    assert wait_until(lambda: len(working(slurm, folder)) == 2, PATIENCE)
    driver = psutil.Process(process.pid)
    keepers = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "slurmstepd"]
    workers = [child for keeper in keepers for child in keeper.children(recursive=True)]
    ours, theirs = listening([driver, *driver.children(recursive=True)]), listening(workers)
    assert len(theirs) >= 4
    assert {address.ip for address in (*ours, *theirs)} == {"127.0.0.1"}
    assert 8787 not in {address.port for address in (*ours, *theirs)}
    keys = folder / "cluster"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.glob("*.pem")} == {0o600}
    ports = [str(address.port) for address in ours]
    command = [sys.executable, "-c", INTRUDER, str(tmp_path / "foreign"), str(keys), *ports]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    answers = [line.split() for line in done.stdout.splitlines()]
    assert {found for name, found in answers if name != "right"} == {"refused"}, done.stdout + done.stderr
    assert "Scheduler" in {found for name, found in answers if name == "right"}, done.stdout + done.stderr
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 75
    assert not list(keys.glob("*.pem"))


def test_jobs_that_end_before_their_worker_is_there_end_the_run(slurm, study, monkeypatch):
    monkeypatch.setattr("simprune.schedulers.slurm.POLL_SECONDS", 0.5)
    monkeypatch.setattr("simprune.schedulers.slurm.VANISHED_SECONDS", 1.0)
    study.write_text(study.read_text() + 'prologue = "exit 3"\n')
    folder = study.parent / "stillborn"
    result = call("run", study, *REFERENCE, "--scheduler", "slurm", "-o", folder)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert re.search(
        rf"SLURM jobs must live to be workers, \d+ ended before .* their output is in {folder}/cluster/logs$", line
    )


def test_refused_jobs_are_told_in_one_sentence(slurm, study):
    study.write_text(study.read_text() + 'queue = "nowhere"\n')
    result = call("run", study, *REFERENCE, "--scheduler", "slurm", "-o", study.parent / "refused")
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "SLURM must accept the jobs, it said 'sbatch: error: " in line
    assert "invalid partition" in line.lower()
    assert "Traceback" not in result.stderr
    assert not list((study.parent / "refused" / "cluster").glob("*.pem"))
