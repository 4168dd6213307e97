"""Faults that the operating system makes: full disks, limits, rights, and the order in which it is asked."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from simprune.model.errors import InputError
from simprune.store.errors import StoreError
from simprune.store.folder import FolderStore
from simprune.store.results import open_results
from simprune.store.verify import check
from tests.store.factories import a_design, a_point, a_quick_batch, equal

ROOT = Path(__file__).parents[2]
POINT = a_point()
NOBODY = 65534

WRITER = """
import resource, sys
from simprune.model.errors import InputError
from simprune.store.folder import FolderStore
from tests.store.factories import a_design, a_point, a_quick_batch
path, step, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with FolderStore.open(path, a_design(a_point()), provenance={}) as store:
        first = max((stop for _, stop in store.completed(a_point())), default=0)
        for first in range(first, first + 200 * step, step):
            store.append([a_quick_batch(a_point(), first, first + step)])
            store.flush()
            print(first + step, flush=True)
            step += step // 2 if limit else 0
except InputError as error:
    print(error, file=sys.stderr)
    raise SystemExit(2)
"""


def writer(path: Path, *, step: int, limit: int = 0) -> list[str]:
    return [sys.executable, "-c", WRITER, str(path), str(step), str(limit)]


def acknowledged(output: str) -> int:
    lines = output.splitlines()
    return int(lines[-1]) if lines else 0


def assert_holds(folder: Path, n_trials: int) -> None:
    results = open_results(folder, trusted=True)
    ((first, stop),) = results.completed(POINT)
    assert first == 0
    assert stop >= n_trials
    assert equal(results.table(POINT), a_quick_batch(POINT, 0, stop))
    assert all(finding.ok for finding in check(folder, trusted=True))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    done = subprocess.run(
        [mount or "mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.fault("S2")
def test_a_full_disk_ends_in_one_sentence_and_keeps_what_was_committed(small_disk: Path) -> None:
    folder = small_disk / "results"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    done = subprocess.run(writer(folder, step=1000), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "the disk must have room, it is full" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert acknowledged(done.stdout) >= 1000
    assert_holds(folder, acknowledged(done.stdout))
    assert not list(folder.rglob(".tmp-*"))
    ballast.unlink()
    again = subprocess.run(writer(folder, step=1000), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert acknowledged(again.stdout) > acknowledged(done.stdout)
    assert_holds(folder, acknowledged(again.stdout))


@pytest.mark.fault("S2")
def test_a_full_disk_ends_packing_in_one_sentence(small_disk: Path, tmp_path: Path) -> None:
    with FolderStore.open(tmp_path / "r", a_design(POINT), provenance={}) as store:
        store.append([a_quick_batch(POINT, 0, 30_000)])
    command = [sys.executable, "-m", "simprune.cli", "pack", str(tmp_path / "r"), "-o", str(small_disk / "packed.h5")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 74
    (sentence,) = done.stderr.splitlines()
    assert "could not be packed" in sentence
    assert list(small_disk.iterdir()) == []
    assert_holds(tmp_path / "r", 30_000)
    command[-1] = str(tmp_path / "packed.h5")
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert equal(open_results(tmp_path / "packed.h5").table(POINT), a_quick_batch(POINT, 0, 30_000))


@pytest.mark.fault("S2")
def test_a_limit_on_file_sizes_ends_in_one_sentence(tmp_path: Path) -> None:
    command = writer(tmp_path / "r", step=100, limit=100_000)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "files must be allowed to grow" in done.stderr
    assert acknowledged(done.stdout) >= 100
    assert_holds(tmp_path / "r", acknowledged(done.stdout))
    with FolderStore.open(tmp_path / "r", a_design(POINT), provenance={}) as store:
        assert store.quarantined == ()


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder with results that this process may read but not write."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    with FolderStore.open(base / "results", a_design(POINT), provenance={}) as store:
        store.append([a_quick_batch(POINT, 0, 10)])
    places = [base, *base.rglob("*")]
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    else:
        for place in places:
            place.chmod(0o555 if place.is_dir() else 0o444)
    yield base
    if is_root:
        os.seteuid(0)
    else:
        for place in places:
            place.chmod(0o755)
    shutil.rmtree(base)


@pytest.mark.fault("S5")
def test_a_folder_without_rights_is_refused_and_still_readable(unwritable: Path) -> None:
    before = sorted(unwritable.rglob("*"))
    with pytest.raises(StoreError, match="you must be allowed to write there"):
        FolderStore.open(unwritable / "results", a_design(POINT), provenance={})
    with pytest.raises(InputError, match="you must be allowed to write there"):
        FolderStore.open(unwritable / "new", a_design(POINT), provenance={})
    assert sorted(unwritable.rglob("*")) == before
    assert equal(open_results(unwritable / "results", trusted=True).table(POINT), a_quick_batch(POINT, 0, 10))


@pytest.mark.fault("S7")
@pytest.mark.slow
def test_killed_fifty_times_at_random(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    n_acknowledged = 0
    for _ in range(50):
        with subprocess.Popen(writer(tmp_path / "r", step=20), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(float(random.uniform(0, 0.03)))
            process.send_signal(signal.SIGKILL)
            n_acknowledged = max(n_acknowledged, acknowledged(first + process.stdout.read()))
        assert_holds(tmp_path / "r", n_acknowledged)
    assert n_acknowledged >= 400


@pytest.mark.fault("S3")
@pytest.mark.slow
def test_the_system_is_asked_in_the_right_order(tmp_path: Path) -> None:
    """write < fsync(file) < link < unlink < fsync(folder) < acknowledgement, for every commit."""
    strace = shutil.which("strace")
    log = tmp_path / "log"
    command = [strace or "strace", "-qq", "-y", "-o", str(log), "-e", "trace=write,fsync,link,linkat,unlink"]
    program = WRITER.replace("200 * step", "5 * step")
    arguments = [sys.executable, "-c", program, str(tmp_path / "r"), "10", "0"]
    try:
        subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, check=True, timeout=120)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"strace cannot trace here: {error}")
    told = []
    for line in log.read_text().splitlines():
        if re.match(r"write\(1<", line):
            told.append("acknowledge")
        elif "/segments" in line:
            call = line.partition("(")[0].replace("linkat", "link")
            told.append("fsync folder" if re.match(r"fsync\(\d+<[^>]*/segments>", line) else call)
    order = " ".join(call for call, _ in groupby(told))
    assert order == " ".join(["write fsync link unlink fsync folder acknowledge"] * 5)
