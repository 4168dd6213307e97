"""Batch files: what is asked for is in them, and a shell understands them. Whether they work: tests/slurm."""

import re
import subprocess
from dataclasses import replace

import pytest

from simprune.design.cluster import Cluster
from simprune.model.errors import InputError
from simprune.schedulers.job_script import array_script, study_script
from tests.engine.hash_backend import design

CLUSTER = Cluster(
    jobs=6,
    queue="long",
    account="theory",
    walltime="2-00:00:00",
    memory="3GiB",
    prologue=("module load python",),
    directives=("--constraint=avx512",),
)


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "a study.toml", tmp_path / "results"


def checked(script):
    """The script's directives and its last line."""
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    lines = script.splitlines()
    directives = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    # sbatch reads no directive after the first command
    first = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])
    return directives, lines[-1]


def test_a_job_asks_for_two_tasks_more_than_workers(paths):
    script = study_script(replace(design(trials=8), cluster=CLUSTER), *paths, workers=None, backend="auto")
    directives, command = checked(script)
    assert set(directives) == {
        "--job-name=design",
        "--cpus-per-task=1",
        "--mem-per-cpu=3072M",
        "--ntasks=8",
        "--signal=TERM@60",
        "--time=2-00:00:00",
        "--partition=long",
        "--account=theory",
        "--constraint=avx512",
    }
    assert "\nmodule load python\n" in script
    assert command.startswith("srun --kill-on-bad-exit=0 --wait=30 ")
    assert re.search(r" run '.*/a study.toml' -o .*/results --scheduler srun$", command)


def test_options_win_and_silence_leaves_it_to_slurm(paths):
    directives, command = checked(study_script(design(trials=8), *paths, workers=3, backend="cpu"))
    assert "--ntasks=5" in directives
    assert not any(line.startswith(("--time", "--partition", "--account")) for line in directives)
    assert " --backend cpu " in command


def test_an_array_has_a_share_and_a_folder_for_every_task(paths):
    directives, command = checked(array_script(design(trials=8), *paths, n=4, backend="auto"))
    assert {"--array=1-4", "--ntasks=1", "--signal=B:TERM@60", "--mem-per-cpu=1908M"} <= set(directives)
    assert command.startswith("exec ")
    assert command.endswith(f'--share "$SLURM_ARRAY_TASK_ID/4" -o "{paths[1]}.$SLURM_ARRAY_TASK_ID"')


def test_what_cannot_work_is_refused(paths):
    with pytest.raises(InputError, match="the number of workers must be given"):
        study_script(design(trials=8), *paths, workers=None, backend="auto")
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        study_script(design(trials=8), *paths, workers=0, backend="auto")
    with pytest.raises(InputError, match="an array must have at least two shares, got 1"):
        array_script(design(trials=8), *paths, n=1, backend="auto")
    with pytest.raises(InputError, match="results of an array must have a plain path"):
        array_script(design(trials=8), paths[0], paths[1] / "with space", n=2, backend="auto")
