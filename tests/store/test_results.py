"""Reading: a folder at rest, a folder that is being written to, and a packed file."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simprune.model.errors import InputError
from simprune.store import folder_source
from simprune.store.errors import CorruptSegment
from simprune.store.failures import FailedTrials
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.results import Results, open_results
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point, a_quick_batch, equal

ROOT = Path(__file__).parents[2]
NETWORK = a_network()
POINTS = (a_point(), a_point(alpha=0.25, witness=True), a_fixed_point(NETWORK))
DESIGN = a_design(*POINTS, networks=(NETWORK,))
FAILURE = FailedTrials(digest=POINTS[0].digest(), first=90, stop=92, reason="worker died")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first point has the trials 0..11 and 20..24, the second 0..4, the third none."""
    path = tmp_path_factory.mktemp("store") / "results"
    with FolderStore.open(path, DESIGN, provenance={"backend": "cpu"}) as store:
        store.append([a_batch(POINTS[0], 20, 25), a_batch(POINTS[1], 0, 5)])
        store.flush()
        store.append([a_batch(POINTS[0], 0, 8)])
        store.flush()
        store.append([a_batch(POINTS[0], 8, 12)])
        store.record_failures([FAILURE])
    pack(path, path.with_name("packed.h5"))
    return path


@pytest.fixture(params=["folder", "packed"])
def results(request: pytest.FixtureRequest, written: Path) -> Results:
    return open_results(written if request.param == "folder" else str(written.with_name("packed.h5")), trusted=True)


def test_the_description_is_that_of_the_design(results: Results) -> None:
    assert [point.digest() for point in results.points] == [point.digest() for point in POINTS]
    assert (results.name, results.trials, results.epsilons, results.delta) == ("made up", 100, (0.1, 0.2), 0.05)
    assert results.text == DESIGN.text
    assert results.provenance["backend"] == "cpu"
    assert results.failed == (FAILURE,)
    assert results.problems == {}


def test_tables_hold_every_row_bit_for_bit(results: Results) -> None:
    every = a_batch(POINTS[0], 0, 25)
    table = results.table(POINTS[0])
    assert results.completed(POINTS[0]) == ((0, 12), (20, 25))
    for name, column in table.items():
        assert column.tobytes() == np.delete(every.columns[name], range(12, 20), axis=0).tobytes()
    assert equal(results.table(POINTS[1]), a_batch(POINTS[1], 0, 5))


def test_a_point_without_rows_has_empty_columns(results: Results) -> None:
    assert results.completed(POINTS[2]) == ()
    assert equal(results.table(POINTS[2]), a_batch(POINTS[2], 0, 0))


def test_single_columns(results: Results) -> None:
    every = a_batch(POINTS[1], 0, 5)
    for name in ("gap_lower", "threshold", "witness", "trial"):
        assert results.column(POINTS[1], name).tobytes() == every.columns[name].tobytes()
    assert list(results.table(POINTS[1], only=["threshold"])) == ["trial", "threshold"]


def test_chunks_are_the_table_in_pieces(results: Results) -> None:
    for point in POINTS[:2]:
        table, names = results.table(point), ("threshold", "gap_upper")
        chunks = list(results.chunks(point, only=names))
        assert all(tuple(sorted(chunk)) == tuple(sorted(names)) for chunk in chunks)
        assert sum(chunk.n_trials for chunk in chunks) == table.n_trials
        for name in names:
            assert np.concatenate([chunk[name] for chunk in chunks]).tobytes() == table[name].tobytes()
    assert list(results.chunks(POINTS[2], only=names)) == []
    with pytest.raises(InputError, match="did you mean 'gap_lower'"):
        next(results.chunks(POINTS[0], only=["gap_lowr"]))


def test_a_segment_that_breaks_ends_the_chunks(tmp_path: Path) -> None:
    point = POINTS[0]
    with FolderStore.open(tmp_path / "r", a_design(point), provenance={}) as store:
        for first in range(0, 30, 10):
            store.append([a_batch(point, first, first + 10)])
            store.flush()
    results = open_results(tmp_path / "r")
    chunks = results.chunks(point, only=["trial"])
    assert next(chunks)["trial"].tolist() == list(range(10))
    (tmp_path / "r" / "segments" / "seg-000000000001.h5").unlink()
    with pytest.raises(CorruptSegment):
        next(chunks)
    assert [chunk["trial"][0] for chunk in results.chunks(point, only=["trial"])] == [0, 20]


def test_fixed_targets_come_back(results: Results) -> None:
    network = results.trained(POINTS[2])
    assert network is not None
    assert network.sha256 == NETWORK.sha256
    assert network.origin == "made up"
    assert [w.dtype for w in network.weights] == [w.dtype for w in NETWORK.weights]
    assert results.trained(POINTS[0]) is None


def test_wrong_names_are_told(results: Results) -> None:
    with pytest.raises(InputError, match="did you mean 'gap_lower'"):
        results.column(POINTS[0], "gap_lowr")
    with pytest.raises(InputError, match="got 'witness'"):
        results.table(POINTS[0], only=["witness"])
    with pytest.raises(InputError, match="one of the results"):
        results.table(a_point(seed=77))


def test_a_column_is_read_without_the_others(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = folder_source.read_columns
    asked: list[str] = []

    def noting(*arguments: object, names: list[str]) -> object:
        asked.extend(names)
        return read(*arguments, names=names)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_source, "read_columns", noting)
    open_results(written).column(POINTS[0], "gap_upper")
    assert set(asked) == {"gap_upper"}


@pytest.mark.parametrize("content", [None, b"", b"hello", "folder"])
def test_what_is_no_results_is_told(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "there"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be"):
        open_results(path)


def test_segments_that_break_or_vanish_are_left_out(tmp_path: Path) -> None:
    point = POINTS[0]
    with FolderStore.open(tmp_path / "r", a_design(point), provenance={}) as store:
        for first in range(0, 40, 10):
            store.append([a_batch(point, first, first + 10)])
            store.flush()
    segments = tmp_path / "r" / "segments"
    (segments / "seg-000000000000.h5").write_bytes(b"simprune")
    results = open_results(tmp_path / "r")
    assert results.completed(point) == ((10, 40),)
    (segments / "seg-000000000002.h5").unlink()
    table = results.table(point)
    assert table["trial"].tolist() == [*range(10, 20), *range(30, 40)]
    assert results.completed(point) == ((10, 20), (30, 40))
    assert set(results.problems) == {"seg-000000000000.h5", "seg-000000000002.h5"}


def test_rows_that_are_stored_twice_are_read_once(tmp_path: Path) -> None:
    point = POINTS[0]
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, (first, stop) in zip(folders, ((0, 10), (5, 15)), strict=True):
        with FolderStore.open(folder, a_design(point), provenance={}) as store:
            store.append([a_batch(point, first, stop)])
    os.rename(folders[1] / "segments/seg-000000000000.h5", folders[0] / "segments/seg-000000000001.h5")
    results = open_results(folders[0])
    assert equal(results.table(point), a_batch(point, 0, 15))


WRITER = """
import sys, time
from simprune.store.folder import FolderStore
from tests.store.factories import a_design, a_point, a_quick_batch
with FolderStore.open(sys.argv[1], a_design(a_point()), provenance={}) as store:
    sys.stdout.write("begun\\n"); sys.stdout.flush()
    for first in range(0, 140, 7):
        store.append([a_quick_batch(a_point(), first, first + 7)])
        store.flush()
        time.sleep(0.05)
"""


@pytest.mark.fault("S6")
def test_a_hundred_looks_at_a_growing_folder(tmp_path: Path) -> None:
    point, seen, growths = a_point(), 0, 0
    command = [sys.executable, "-c", WRITER, str(tmp_path / "r")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "begun\n"
            for _ in range(100):
                results = open_results(tmp_path / "r", trusted=True)
                table = results.table(point, only=["gap_lower", "threshold"])
                expected = a_quick_batch(point, 0, table.n_trials)
                assert all(column.tobytes() == expected.columns[name].tobytes() for name, column in table.items())
                assert table.n_trials >= seen
                assert results.problems == {}
                growths += table.n_trials > seen
                seen = table.n_trials
                time.sleep(0.002)
        finally:
            writer.kill()
    assert growths >= 5
