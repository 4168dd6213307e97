"""Merging: the rows of one run, or a refusal; never half a result."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simprune.engine import run
from simprune.model.errors import InputError
from simprune.schedulers.serial import SerialScheduler
from simprune.store import merging
from simprune.store.errors import StoreError
from simprune.store.failures import FailedTrials
from simprune.store.folder import FolderStore
from simprune.store.memory import MemoryStore
from simprune.store.merging import Merged, merge
from simprune.store.pack import pack
from simprune.store.results import open_results
from simprune.store.stops import Stop
from tests.engine.hash_backend import HashBackend, columns, design
from tests.engine.test_loop import assert_same_rows

STUDY = design(trials=50)
ROOT = Path(__file__).resolve().parents[2]


def computed(folder, study=STUDY, *, backend=None, provenance=None):
    with FolderStore.open(folder, study, provenance={"backend": "hash", **(provenance or {})}) as store:
        run(study, backend=backend or HashBackend(), scheduler=SerialScheduler(), store=store, block_trials=7)
    return folder


def shares(tmp_path, n, study=STUDY):
    return [computed(tmp_path / f"share{i}", study.shared(f"{i}/{n}")) for i in range(1, n + 1)]


def rows_of(folder):
    store, results = MemoryStore(), open_results(folder)
    store.read = results.table
    store.completed = results.completed
    return store


def test_shares_become_the_whole(tmp_path):
    folders = shares(tmp_path, 3)
    assert merge(folders, tmp_path / "all") == Merged(n_rows=300, n_equal=0)
    results = open_results(tmp_path / "all")
    assert [results.completed(point) for point in STUDY.points()] == [((0, 50),)] * 6
    assert_same_rows(rows_of(tmp_path / "all"), STUDY)
    assert results.provenance["merged_from"] == [str(folder) for folder in folders]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all", "share1", "share2", "share3"]
    with FolderStore.open(tmp_path / "all", STUDY, provenance={}) as store:
        assert run(STUDY, backend=HashBackend(), scheduler=SerialScheduler(), store=store).n_computed == 0


def test_packed_files_and_equal_overlaps_are_taken(tmp_path):
    one, two = shares(tmp_path, 2)
    whole = computed(tmp_path / "whole")
    pack(two, tmp_path / "two.h5")
    assert merge([one, tmp_path / "two.h5", whole], tmp_path / "all") == Merged(n_rows=300, n_equal=300)
    assert_same_rows(rows_of(tmp_path / "all"), STUDY)


def test_failures_and_holes_stay_until_they_are_computed(tmp_path):
    one, two = (computed(tmp_path / f"r{i}", STUDY.shared(f"{i}/2"), backend=HashBackend(raises=(3,))) for i in (1, 2))
    merge([one, two], tmp_path / "all")
    results = open_results(tmp_path / "all")
    assert {(f.first, f.stop) for f in results.failed} == {(3, 4)}
    assert len(results.failed) == 6
    again = computed(tmp_path / "again", STUDY.shared("1/9"))
    merge([tmp_path / "all", again], tmp_path / "mended")
    assert open_results(tmp_path / "mended").failed == ()
    assert_same_rows(rows_of(tmp_path / "mended"), STUDY)


def altered(folder, study=STUDY, *, trial, by):
    """Results of which one number of one trial differs by one unit in the last place or so."""
    point = study.points()[0]
    made = columns(point, 0, study.trials)
    made["gap_lower"][trial] = np.nextafter(made["gap_lower"][trial], by)
    with FolderStore.open(folder, study, provenance={"backend": "hash"}) as store:
        from simprune.records import TrialBatch

        store.append([TrialBatch(point=point, first=0, stop=study.trials, columns=made, info={"seconds": 1.0})])
    return folder


def test_overlapping_trials_that_differ_in_one_bit_are_refused(tmp_path):
    one, two = computed(tmp_path / "one"), altered(tmp_path / "two", trial=33, by=0.0)
    with pytest.raises(InputError, match=r"one and .*two differ in gap_lower of trial 33 of point"):
        merge([one, two], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_other_designs_backends_and_paths_are_refused(tmp_path):
    one, two = shares(tmp_path, 2)
    other = computed(tmp_path / "other", design(trials=50, seed=2))
    fewer = computed(tmp_path / "fewer", design(trials=50, alphas=(0.3,)))
    cuda = computed(tmp_path / "cuda", STUDY.shared("2/2"), provenance={"backend": "cuda"})
    cases = [
        ([one, other], r"must be of the same design as .*share1, different are seed \(1 in .*share1, 2 in .*other\)"),
        ([one, fewer], "must be of the same design"),
        ([one, cuda], "must be of the same backend as .*, got cuda and hash"),
        ([one, one], "at least two different results"),
        ([one], "at least two different results, got 1"),
        ([one, tmp_path / "none"], "does not exist"),
    ]
    for sources, sentence in cases:
        with pytest.raises(InputError, match=sentence):
            merge(sources, tmp_path / "all")
    with pytest.raises(InputError, match="the merged results must be new"):
        merge([one, two], other)
    assert not (tmp_path / "all").exists()


def test_damaged_results_are_refused(tmp_path):
    one, two = shares(tmp_path, 2)
    segment = next((two / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-100])
    with pytest.raises(InputError, match="share2 must be whole to be merged, got 1 damaged parts"):
        merge([one, two], tmp_path / "all")


def test_more_trials_win_and_stops_must_agree(tmp_path):
    one, two = computed(tmp_path / "one"), computed(tmp_path / "two", replace(STUDY, trials=60))
    stop = Stop(digest=STUDY.points()[0].digest(), trials=50, low=0.1, high=0.2, reason="known")
    for folder, found in ((one, [stop]), (two, [stop])):
        with FolderStore.open(folder, STUDY, provenance={}) as store:
            store.record_stops(found)
    merge([one, two], tmp_path / "all")
    assert open_results(tmp_path / "all").trials == 60
    assert open_results(tmp_path / "all").stops == (stop,)
    with FolderStore.open(two, STUDY, provenance={}) as store:
        store.record_stops([replace(stop, trials=40)])
    with pytest.raises(InputError, match="must have stopped point"):
        merge([one, two], tmp_path / "again")


KILLED = """
import os, signal, sys
from pathlib import Path
from simprune.store import folder
from simprune.store.merging import merge

target, sources = Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
folder.COALESCE_BYTES = 1

def merge_and_die(left):
    def dying(call):
        def wrapped(*args, **keywords):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **keywords)
        return wrapped
    for name in ("write", "fsync", "link", "unlink", "rename"):
        setattr(os, name, dying(getattr(os, name)))
    merge(sources, target.with_name(f"{target.name}{left}"))

n = 0
while True:
    n += 1
    child = os.fork()
    if child == 0:
        merge_and_die(n)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
print(n)
"""


@pytest.mark.slow
def test_a_merge_killed_at_any_system_call_goes_on(tmp_path):
    study = design(trials=6, widths=(4,), alphas=(0.3, 0.5))
    folders = shares(tmp_path, 2, study)
    command = [sys.executable, "-c", KILLED, str(tmp_path / "all"), *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    n_calls = int(done.stdout)
    n_went_on = 0
    for call in range(1, n_calls + 1):
        target = tmp_path / f"all{call}"
        if not target.exists():
            merge(folders, target)
            n_went_on += 1
        assert_same_rows(rows_of(target), study)
        assert not target.with_name(f".{target.name}.merging").exists()
    assert n_went_on > 15


def test_a_killed_merge_of_other_results_is_not_mixed_in(tmp_path, monkeypatch):
    one, two, three = shares(tmp_path, 3)

    rename = os.rename

    def refuse(source, target):
        if Path(source).is_dir():
            raise OSError(28, "No space left on device")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(StoreError, match="all could not be stored: the disk must have room"):
            merge([one, two], tmp_path / "all")
    with pytest.raises(InputError, match=r"\.all\.merging must be of a merge of the same results"):
        merge([one, three], tmp_path / "all")
    assert merge([one, two], tmp_path / "all").n_rows == 6 * 33


def test_failed_trials_are_told_once(tmp_path):
    one, two = shares(tmp_path, 2)
    failed = FailedTrials(digest=STUDY.points()[0].digest(), first=49, stop=50, reason="gone")
    for folder in (one, two):
        with FolderStore.open(folder, replace(STUDY, trials=60), provenance={}) as store:
            store.record_failures([replace(failed, first=55, stop=56)])
    merge([one, two], tmp_path / "all")
    assert [(f.first, f.reason) for f in open_results(tmp_path / "all").failed] == [(55, "gone")]
    assert merging.SOURCES in open_results(tmp_path / "all").provenance
