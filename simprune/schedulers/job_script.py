"""Batch files for SLURM: one job for a whole study, or an array of its shares."""

import re
import shlex
import sys
from pathlib import Path

from simprune.design.cluster import Cluster
from simprune.design.design import Design
from simprune.model.errors import InputError

SIGNAL_SECONDS = 60
# After the run has ended the other tasks end by themselves; where it failed before it met them, srun ends them.
WAIT_SECONDS = 30
DEFAULT_BYTES = 2 * 10**9
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PLAIN = re.compile(r"[\w./,+@=:-]+")


def study_script(design: Design, path: Path, results: Path, *, workers: int | None, backend: str) -> str:
    """Return a batch file whose tasks are a Dask scheduler, the run, and ``workers`` workers."""
    n = workers if workers is not None else design.cluster.jobs
    if n is None:
        raise InputError("the number of workers must be given, got none; set jobs under [cluster], or --workers")
    if n < 1:
        raise InputError(f"workers must be at least 1, got {n}; two further tasks are the scheduler and the run")
    tasks = ["srun", "--kill-on-bad-exit=0", f"--wait={WAIT_SECONDS}"]
    command = [*tasks, *_run(path, backend), "-o", str(results), "--scheduler", "srun"]
    return _script(
        design,
        about=[
            f"Computes what {results} misses of {path.name}: a scheduler, the run and {n} workers.",
            f"The run stops cleanly {SIGNAL_SECONDS} s before the time limit with exit code 75; submit it again to go on.",
            "Submitted with --dependency=singleton, several copies run one after the other.",
        ],
        directives=[f"--ntasks={n + 2}", f"--signal=TERM@{SIGNAL_SECONDS}"],
        command=shlex.join(command),
    )


def array_script(design: Design, path: Path, results: Path, *, n: int, backend: str) -> str:
    """Return a batch file of ``n`` tasks, each with a share of every point's trials and a results folder of its own."""
    if n < 2:
        raise InputError(f"an array must have at least two shares, got {n}; leave --array out")
    design.shared(f"1/{n}")
    if not _PLAIN.fullmatch(str(results)):
        raise InputError(
            f"results of an array must have a plain path, got '{results}'; take out spaces and special characters"
        )
    task = "$SLURM_ARRAY_TASK_ID"
    run = shlex.join([*_run(path, backend), "--scheduler", "serial", "--workers", "1"])
    merge = f"{shlex.join(_program())} merge $(seq -f {results}.%.0f {n}) -o {results}"
    return _script(
        design,
        about=[
            f"Computes {path.name} in {n} shares, {results}.1 .. {results}.{n}, without a scheduler.",
            f"A task stops cleanly {SIGNAL_SECONDS} s before the time limit with exit code 75; submit it again to go on.",
            "To submit this file and then merge the shares (FILE is its name):",
            f"  sbatch --dependency=afterok:$(sbatch --parsable FILE) --wrap='{merge}'",
        ],
        directives=[f"--array=1-{n}", "--ntasks=1", f"--signal=B:TERM@{SIGNAL_SECONDS}"],
        command=f'exec {run} --share "{task}/{n}" -o "{results}.{task}"',
    )


def _script(design: Design, *, about: list[str], directives: list[str], command: str) -> str:
    cluster = design.cluster
    header = [f"--job-name={_name(design)}", "--cpus-per-task=1", f"--mem-per-cpu={_mebibytes(cluster)}M", *directives]
    for option, value in (("time", cluster.walltime), ("partition", cluster.queue), ("account", cluster.account)):
        header += [f"--{option}={value}"] if value is not None else []
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {line}" for line in (*header, *cluster.directives)),
        *(f"# {line}" for line in about),
        *(f"export {name}=1" for name in THREADS),
        "export DASK_LOGGING__DISTRIBUTED=critical",
        *cluster.prologue,
        command,
    ]
    return "\n".join(lines) + "\n"


def _program() -> list[str]:
    return [sys.executable, "-m", "simprune.cli"]


def _run(path: Path, backend: str) -> list[str]:
    return [*_program(), "run", str(path), *(["--backend", backend] if backend != "auto" else [])]


def _name(design: Design) -> str:
    return re.sub(r"[^\w.-]", "-", design.name)


def _mebibytes(cluster: Cluster) -> int:
    return -(-(cluster.memory_bytes or DEFAULT_BYTES) // (1 << 20))
