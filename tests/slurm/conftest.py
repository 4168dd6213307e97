"""A private SLURM for the tests here: required where CI=true, otherwise skipped with the reason."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schedulers.waiting import wait_until
from tests.slurm.private import PrivateSlurm, missing_programs

ROOT = Path(__file__).resolve().parents[2]
# Quiet: a lost worker is replaced after 10 s and a start, and the queue empties 10 s after the driver's death.
PATIENCE = 120


def refuse(reason):
    if os.environ.get("CI") == "true":
        pytest.fail(f"the tests on SLURM are required where CI=true, but {reason}")
    pytest.skip(reason)


def private_slurm(folder, **options):
    """Yield a running SLURM that commands of this process and its children talk to."""
    if missing := missing_programs():
        refuse(f"these programs are missing: {', '.join(missing)}; apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        refuse("SLURM must be started by root here")
    slurm = PrivateSlurm(folder, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(slurm.conf))
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.stop()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    yield from private_slurm(tmp_path_factory.mktemp("slurm"), nodes=2)


def begin(folder, *, walltime):
    command = [sys.executable, "-m", "tests.slurm.campaign", str(folder), walltime]
    with (folder.parent / "log").open("a") as log:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)


@pytest.fixture
def campaign(slurm, tmp_path):
    """Start campaigns in one folder; none outlives the test."""
    begun = []

    def start(walltime="01:00:00"):
        begun.append(begin(tmp_path / "results", walltime=walltime))
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=PATIENCE)
    assert wait_until(lambda: not slurm.jobs(), PATIENCE)
