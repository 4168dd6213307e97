"""Streamed rows give the summary of rows in memory, from folders, packed files and stand-ins, chunk by chunk."""

from pathlib import Path

import numpy as np
import pytest

from simprune.analysis import render, rows, summarize, tally
from simprune.analysis.json_form import to_text
from simprune.analysis.rows import ask_rows
from simprune.analysis.summary import Results
from simprune.analysis.views import LOWER
from simprune.model.activations import Sigmoid
from simprune.model.pruning import BernoulliPruning
from simprune.records import TrialBatch
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.results import open_results
from tests.analysis.synthetic import SyntheticResults, make_point, make_table
from tests.store.factories import a_design

POINTS = [
    make_point((8, 8, 8)),
    make_point((16, 16, 16)),
    make_point((8, 8, 8), rule=BernoulliPruning(pruned_fraction=0.2)),
    make_point((6, 6, 6), activation=Sigmoid()),
]
TABLES = tuple(make_table(point, 300, certified=200) for point in POINTS)


def told(results: Results, **asked: object) -> str:
    summary = summarize(results, **asked)
    return render(summary) + to_text(summary)


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "IN_MEMORY", -1)


@pytest.mark.parametrize(("chunk", "epsilons"), [(1, (0.2,)), (64, None), (10_000, (0.05, 0.2))])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, chunk: int, epsilons: tuple[float, ...] | None) -> None:
    results = SyntheticResults(tables=TABLES, chunk=chunk)
    whole = told(results, epsilons=epsilons)
    monkeypatch.setattr(rows, "IN_MEMORY", -1)
    assert told(results, epsilons=epsilons) == whole


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "results"
    with FolderStore.open(path, a_design(*POINTS, trials=400), provenance={}) as store:
        for first, stop in ((0, 90), (90, 210), (210, 300)):
            for table in TABLES:
                columns = {name: np.ascontiguousarray(column[first:stop]) for name, column in table.items()}
                store.append([TrialBatch(point=table.point, first=first, stop=stop, columns=columns, info={})])
            store.flush()
    pack(path, path.with_name("packed.h5"))
    return path


@pytest.mark.parametrize("name", ["results", "packed.h5"])
def test_stored_rows_are_streamed_as_they_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    whole = told(open_results(folder.with_name(name)))
    monkeypatch.setattr(rows, "IN_MEMORY", -1)
    assert told(open_results(folder.with_name(name))) == whole


@pytest.mark.usefixtures("streaming")
def test_a_segment_that_breaks_between_passes_is_left_out(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    copy.mkdir()
    (copy / "segments").mkdir()
    for path in (folder / "run.json", *folder.glob("segments/*")):
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    results, point = open_results(copy), POINTS[0]
    calls = []

    def question(found: rows.PointRows) -> tuple[int, float]:
        calls.append(len(found["lower"]))
        if len(calls) == 1:
            (copy / "segments" / "seg-000000000001.h5").unlink()
        return len(found["lower"]), found["lower"][100]

    answer = ask_rows(results, point, {"lower": LOWER}, question, tallied=False)
    left = np.delete(TABLES[0]["gap_lower"], range(90, 210))
    assert answer == (len(left), np.sort(left)[100])
    assert 300 in calls
    assert "vanished" in results.problems["seg-000000000001.h5"]


@pytest.mark.usefixtures("streaming")
def test_the_report_says_when_only_the_first_thresholds_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "KEPT_ROWS", 130)
    results = SyntheticResults(tables=TABLES[:2], chunk=77)
    summary = summarize(results)
    assert {test.n_rows for test in summary.thresholds} == {130}
    assert "Of points with more rows the first 130 are tested." in " ".join(render(summary).split())


def test_tails_of_streamed_rows_are_those_of_sorted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    results = SyntheticResults(tables=(make_table(POINTS[0], 2500),), chunk=311)
    whole = told(results, epsilons=(0.2,), tails=(1e-3,))
    assert '"extrapolated": true' in whole
    monkeypatch.setattr(rows, "IN_MEMORY", -1)
    assert told(results, epsilons=(0.2,), tails=(1e-3,)) == whole
