"""Death, a full disk and a broken one at every write, fsync, link, rename and unlink of a commit, a resume and a pack.

Where strace is missing or may not trace, test_crashes does the same for commit and resume in Python.
"""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simprune.store.results import open_results
from simprune.store.verify import check
from tests.store.crashing import N_TRIALS, STEP
from tests.store.factories import a_quick_batch, equal
from tests.store.test_crashes import assert_recovers
from tests.store.tracing import FAULTS, IO_ERROR, PACKED

ROOT = Path(__file__).parents[2]
ENDS = {"kill": {-signal.SIGKILL, 0, IO_ERROR}, "full": {0, IO_ERROR}, "broken": {0, IO_ERROR}}

pytestmark = pytest.mark.slow


def places_of(kind: str, root: Path) -> list[Path]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; test_crashes fails the calls of commit and resume in Python instead")
    command = [sys.executable, "-m", "tests.store.tracing", str(root), kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=800)
    if "cannot attach" in done.stderr:
        pytest.skip(f"{done.stderr.strip()}; test_crashes fails the calls of commit and resume in Python instead")
    assert done.returncode == 0, done.stderr
    places = sorted(path for path in root.iterdir() if path.is_dir())
    for fault in FAULTS:
        print(f"{kind}: {sum(f'-{fault}-' in place.name for place in places)} calls, {fault}")
    return places


def end_of(place: Path) -> int:
    """How the writer ended: by the fault's own signal, or with a sentence and the code of an input/output error."""
    code = int(json.loads((place / "end.json").read_text()))
    fault = place.name.split("-")[1]
    assert code in ENDS[fault], place.name
    assert (code == IO_ERROR) == (place / "said").exists(), place.name
    return code


@pytest.mark.fault("S1", "S2")
@pytest.mark.parametrize(("kind", "least"), [("new", 14), ("begun", 12)])
def test_every_call_of_commit_and_resume(tmp_path: Path, kind: str, least: int) -> None:
    places = places_of(kind, tmp_path)
    assert len(places) >= 3 * least
    ends = set()
    for place in places:
        ends.add(end_of(place))
        acks = place / "acks"
        firsts = [int(path.name) for path in acks.iterdir()] if acks.exists() else []
        trials = {trial for first in firsts for trial in range(first, first + STEP)}
        assert_recovers(place / "results", trials, quarantined=int(kind == "begun"))
    assert {-signal.SIGKILL, IO_ERROR} <= ends


@pytest.mark.fault("S1", "S2")
def test_every_call_of_pack(tmp_path: Path) -> None:
    places = places_of("pack", tmp_path)
    assert len(places) >= 60
    ends = set()
    contents = {}
    for place in places:
        ends.add(end_of(place))
        folder = place / "results"
        files = {path.name: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        assert contents.setdefault("results", files) == files
        packed = place / "packed.h5"
        assert packed.exists() or end_of(place) != 0
        if packed.exists():
            assert all(finding.ok for finding in check(packed, trusted=True))
            assert equal(open_results(packed, trusted=True).table(PACKED), a_quick_batch(PACKED, 0, N_TRIALS))
        if end_of(place) != -signal.SIGKILL:
            assert not list(place.glob(".tmp-*")), place.name
    assert {-signal.SIGKILL, IO_ERROR} <= ends
