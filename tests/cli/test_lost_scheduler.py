"""A Dask scheduler that dies in the middle ends the command with code 75, and the same command goes on."""

import subprocess
import time

import pytest

from simprune.design.file import load_design
from simprune.store.results import open_results
from tests.cli.calls import STUDY
from tests.cli.test_processes import COMMAND
from tests.invariance.studies import bytes_of
from tests.schedulers.external import external_cluster


@pytest.mark.fault("D3")
@pytest.mark.slow
def test_a_killed_scheduler_ends_with_75_and_the_command_goes_on(tmp_path):
    path, out = tmp_path / "long.toml", tmp_path / "results"
    path.write_text(STUDY.replace("trials = 6", "trials = 20000").replace("width = [4, 6]", "width = 6"))
    with external_cluster(tmp_path) as external:
        arguments = ["run", str(path), "-o", str(out), "--backend", "reference", "--scheduler", external.address]
        with subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "rows/s" in line:
                    break
            external.scheduler.kill()
            begun = time.monotonic()
            rest = process.stderr.read()
        print(f"ended {time.monotonic() - begun:.1f} s after the scheduler's death")
    assert process.returncode == 75, rest
    last = rest.splitlines()[-1]
    assert last.startswith("the Dask scheduler must answer until the end")
    assert last.endswith("run the same again to go on")
    assert "Traceback" not in rest
    stored = open_results(out)
    last_trial = max(stop for point in stored.points for _, stop in stored.completed(point))
    assert 0 < last_trial < 20000
    path.write_text(path.read_text().replace("trials = 20000", f"trials = {last_trial + 20}"))
    for folder in (out, tmp_path / "serial"):
        command = [*COMMAND, "run", str(path), "-o", str(folder), "--backend", "reference", "--scheduler", "serial"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    design = load_design(path)
    whole, serial = open_results(out), open_results(tmp_path / "serial")
    assert bytes_of(whole.table, design) == bytes_of(serial.table, design)
