"""What every store must do: the same tests for memory and folder."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from simprune.design.design import Design
from simprune.records import merge_ranges
from simprune.store.failures import FailedTrials
from simprune.store.folder import FolderStore
from simprune.store.memory import MemoryStore
from tests.store.factories import a_batch, a_design, equal

Store = MemoryStore | FolderStore


@pytest.fixture
def design() -> Design:
    return a_design()


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path, design: Design) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    with FolderStore.open(tmp_path / "results", design, provenance={"backend": "none"}) as folder:
        yield folder


def test_a_new_store_is_empty(store: Store, design: Design) -> None:
    for point in design.points():
        assert store.completed(point) == ()
        assert equal(store.read(point), a_batch(point, 0, 0))


def test_rows_come_back_bit_for_bit_in_trial_order(store: Store, design: Design) -> None:
    for first, stop in ((20, 31), (0, 7), (7, 20)):
        store.append([a_batch(point, first, stop, seconds=0.5, host="h") for point in design.points()])
    for point in design.points():
        assert store.completed(point) == ((0, 31),)
        assert equal(store.read(point), a_batch(point, 0, 31))


def test_holes_stay_holes(store: Store, design: Design) -> None:
    point = design.points()[0]
    store.append([a_batch(point, 5, 8), a_batch(point, 10, 12)])
    assert store.completed(point) == ((5, 8), (10, 12))
    assert store.read(point)["trial"].tolist() == [5, 6, 7, 10, 11]


def test_rows_are_the_table_in_pieces(store: Store, design: Design) -> None:
    for first, stop in ((20, 31), (0, 7)):
        store.append([a_batch(point, first, stop) for point in design.points()])
    pieces = list(store.rows(design.points(), names=("trial", "threshold")))
    for point in design.points():
        own = [rows for of, rows in pieces if of == point]
        assert {tuple(sorted(rows)) for rows in own} == {("threshold", "trial")}
        for name in ("trial", "threshold"):
            assert np.concatenate([rows[name] for rows in own]).tobytes() == store.read(point)[name].tobytes()


@pytest.mark.parametrize("flushes", [False, True])
def test_trials_that_are_there_are_dropped(store: Store, design: Design, flushes: bool) -> None:
    point, other = design.points()
    random = np.random.default_rng(5)
    there: list[tuple[int, int]] = []
    for _ in range(40):
        first = int(random.integers(0, 60))
        stop = first + int(random.integers(1, 12))
        store.append([a_batch(point, first, stop), a_batch(point, first, stop)])
        there.append((first, stop))
        if flushes:
            store.flush()
    assert store.completed(point) == merge_ranges(there)
    table, every = store.read(point), a_batch(point, 0, 80)
    assert table["trial"].tolist() == sorted(set().union(*(range(*r) for r in there)))
    for name, column in table.items():
        assert column.tobytes() == every.columns[name][table["trial"]].tobytes()
    assert store.completed(other) == ()


def test_failures_are_remembered_until_the_trials_are_computed(store: Store, design: Design) -> None:
    point = design.points()[0]
    digest = point.digest()
    store.record_failures([FailedTrials(digest=digest, first=0, stop=10, reason="worker died")])
    store.record_failures([FailedTrials(digest=digest, first=2, stop=4, reason="raised")])
    assert [(f.first, f.stop, f.reason) for f in store.failed] == [
        (0, 2, "worker died"),
        (2, 4, "raised"),
        (4, 10, "worker died"),
    ]
    store.append([a_batch(point, 0, 3), a_batch(point, 6, 10)])
    assert [(f.first, f.stop, f.reason) for f in store.failed] == [(3, 4, "raised"), (4, 6, "worker died")]
