"""Death and errors at every system call of a commit: what was reported as committed is there, once, bit for bit."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simprune.records import missing_ranges
from simprune.store.errors import StoreError
from simprune.store.folder import FolderStore
from simprune.store.results import open_results
from simprune.store.verify import check
from tests.store.crashing import CALLS, N_TRIALS, POINTS, STEP, campaign
from tests.store.factories import a_design, a_quick_batch, equal

ROOT = Path(__file__).parents[2]


def assert_recovers(folder: Path, acknowledged: set[int], *, quarantined: int) -> None:
    """Every acknowledged trial is there; the missing ones complete the folder to all rows, each once."""
    if (folder / "run.json").exists():
        for point in POINTS:
            trials = set(open_results(folder, trusted=True).table(point, only=[])["trial"].tolist())
            assert acknowledged <= trials
    with FolderStore.open(folder, a_design(*POINTS, trials=N_TRIALS), provenance={}) as store:
        assert len(store.quarantined) <= quarantined
        for point in POINTS:
            done = store.completed(point)
            assert acknowledged <= {trial for first, stop in done for trial in range(first, stop)}
            store.append([a_quick_batch(point, first, stop) for first, stop in missing_ranges(done, N_TRIALS)])
    results = open_results(folder, trusted=True)
    assert results.problems == {}
    for point in POINTS:
        assert equal(results.table(point), a_quick_batch(point, 0, N_TRIALS))
    assert all(finding.ok for finding in check(folder, trusted=True))
    assert not list(folder.rglob(".tmp-*"))


@pytest.mark.fault("S1")
def test_killed_at_every_call(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.store.crashing", str(tmp_path)], cwd=ROOT, check=True, timeout=300)
    places = sorted(tmp_path.iterdir())
    new, begun = (sum(place.name.startswith(kind) for place in places) for kind in ("new", "begun"))
    assert new >= 20
    assert begun >= 15
    n_acknowledged = 0
    for place in places:
        acks = place / "acks.txt"
        first_trials = [int(line) for line in acks.read_text().split()] if acks.exists() else []
        n_acknowledged += len(first_trials)
        assert_recovers(
            place / "results",
            {trial for first in first_trials for trial in range(first, first + STEP)},
            quarantined=int(place.name.startswith("begun")),
        )
    assert n_acknowledged >= 10


def fail_at(monkeypatch: pytest.MonkeyPatch, name: str, n: int, number: int) -> list[str]:
    """Let the n-th call of ``os.name`` (and no other) report an error; the list tells whether it came to that."""
    original: Callable[..., Any] = getattr(os, name)
    calls, failed = [0], []

    def wrapper(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == n:
            failed.append(name)
            if name == "write":
                original(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            raise OSError(number, os.strerror(number))
        return original(*arguments, **named)

    monkeypatch.setattr(os, name, wrapper)
    return failed


@pytest.mark.fault("S2")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("name", CALLS)
def test_an_error_at_every_call(tmp_path: Path, name: str, number: int) -> None:
    n = 0
    while True:
        n += 1
        acknowledged: list[int] = []
        sentence = ""
        folder = tmp_path / f"{n}"
        with pytest.MonkeyPatch.context() as monkeypatch:
            failed = fail_at(monkeypatch, name, n, number)
            try:
                campaign(folder, acknowledge=acknowledged.append)
            except StoreError as error:
                sentence = str(error)
        if not failed:
            break
        assert "\n" not in sentence
        trials = {trial for first in acknowledged for trial in range(first, first + STEP)}
        assert_recovers(folder, trials, quarantined=0)
    assert n > 1


@pytest.mark.fault("S2")
def test_after_an_error_the_same_store_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = POINTS[0]
    with FolderStore.open(tmp_path / "r", a_design(*POINTS), provenance={}) as store:
        store.append([a_quick_batch(point, 0, 3)])
        with monkeypatch.context() as patch:
            fail_at(patch, "write", 1, errno.ENOSPC)
            with pytest.raises(StoreError, match="free some space"):
                store.flush()
            assert os.listdir(tmp_path / "r" / "segments") == []
        store.append([a_quick_batch(point, 0, 3), a_quick_batch(point, 3, 5)])
        store.flush()
        assert equal(store.read(point), a_quick_batch(point, 0, 5))
