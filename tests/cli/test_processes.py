"""Whole processes: what they import, how signals and a full disk end them."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest

import simprune
from tests.cli.calls import FAST, STUDY

HEAVY = ("numba", "dask", "distributed", "h5py", "pydantic", "scipy", "rich")
COMMAND = (sys.executable, "-m", "simprune.cli")


def process(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def imported_after(code):
    done = process(sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def ended(arguments):
    return (
        f"from simprune.cli import main\ntry:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
    )


def test_importing_the_package_loads_nothing_heavy():
    assert not imported_after("import simprune").intersection((*HEAVY, "numpy", "click"))


def test_importing_the_analysis_loads_no_compiler_and_no_cluster():
    loaded = imported_after("import simprune, simprune.analysis.summarize, simprune.analysis.report")
    assert not loaded.intersection(("numba", "dask", "distributed", "h5py", "pydantic"))


def test_help_loads_nothing_heavy():
    assert not imported_after(ended(["--help"])).intersection((*HEAVY, "numpy"))


def test_a_finished_run_starts_no_cluster(finished):
    arguments = ["run", str(finished / "study.toml"), "-o", str(finished / "results")]
    assert not imported_after(ended(arguments)).intersection(("dask", "distributed", "numba"))


def test_every_public_name_is_there_and_typed():
    stub = (simprune.__file__ or "").replace("__init__.py", "__init__.pyi")
    with open(stub) as file:
        typed = {line.split(" as ")[-1].strip() for line in file if " as " in line}
    assert typed | {"__version__"} == set(simprune.__all__) == set(dir(simprune))
    for name in simprune.__all__:
        assert getattr(simprune, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        simprune.nothing  # noqa: B018


def long_study(tmp_path):
    path = tmp_path / "long.toml"
    path.write_text(STUDY.replace("trials = 6", "trials = 3000"))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_the_told_command_goes_on(tmp_path, number):
    path = long_study(tmp_path)
    results = tmp_path / "results"
    arguments = ["run", str(path), "-o", str(results), *FAST]
    with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "measuring" in line:
                break
        time.sleep(0.5)
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 75, rest
    last = rest.splitlines()[-1]
    assert last.startswith("stopped: ")
    assert f"are safe in {results}; go on with: simprune run {path} -o {results}" in last
    assert "--backend reference --scheduler serial" in last
    stored = int(last.split()[1])
    opened = simprune.open_results(results)
    assert stored == sum(stop - first for point in opened.points for first, stop in opened.completed(point))
    assert 0 < stored < 24000
    assert opened.problems == {}


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, 16 << 10))


def test_a_disk_that_refuses_ends_with_a_sentence_and_nothing_is_lost(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    command = [*COMMAND, "run", str(path), "-o", str(tmp_path / "results"), *FAST]
    done = process(*command, preexec_fn=limited)
    assert done.returncode == 74, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "the size limit was hit" in errors[0]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "results" / "segments").iterdir())
    again = process(*command)
    assert again.returncode == 0, again.stderr
    assert "done: 48 rows computed" in again.stdout


def test_a_reader_that_goes_away_ends_silently(finished):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        command = [*COMMAND, "analyze", str(finished / "results"), "--json"]
        done = subprocess.run(command, check=False, stdout=gone, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")
