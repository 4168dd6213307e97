import numpy as np
import pytest

from simprune.engine import recompute, run
from simprune.model.errors import InputError
from simprune.records import TrialTable
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore
from tests.engine.hash_backend import HashBackend, design


class StoredRows:
    """A memory store, read as results are."""

    def __init__(self, store, points):
        self._store, self.points = store, points

    def completed(self, point):
        return self._store.completed(point)

    def table(self, point):
        return self._store.read(point)

    def chunks(self, point, *, only):
        """Seven rows at a time."""
        table = self.table(point)
        for first in range(0, table.n_trials, 7):
            yield TrialTable(point=point, columns={name: table[name][first : first + 7] for name in only})

    def trained(self, point):
        return None


class Altered(StoredRows):
    """The same with one value off by one bit."""

    def table(self, point):
        table = super().table(point)
        columns = {name: column.copy() for name, column in table.columns.items()}
        if point == self.points[1]:
            columns["threshold"].view("<u8")[7, 1] ^= 1
        return TrialTable(point=point, columns=columns)


@pytest.fixture(scope="module")
def stored():
    study, store = design(trials=20), MemoryStore()
    run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    return store, study.points()


def test_untouched_rows_agree(stored, tmp_path):
    diary = tmp_path / "diary"
    assert recompute(StoredRows(*stored), HashBackend(diary=str(diary)), n=30, seed=3) == []
    lines = diary.read_text().splitlines()
    assert len(lines) == len({lines[i].split(" ", 1)[1] for i in range(30)}) == 30


def test_one_flipped_bit_is_named(stored):
    (mismatch,) = recompute(Altered(*stored), HashBackend(), n=1000, seed=0)
    assert (mismatch.point, mismatch.trial, mismatch.column) == (stored[1][1], 7, "threshold")


def test_ragged_trials_are_found_by_their_index():
    study, store = design(trials=40), MemoryStore()
    run(study, backend=HashBackend(raises=(0, 5, 6, 31)), scheduler=SerialScheduler(), store=store)
    assert recompute(StoredRows(store, study.points()), HashBackend(), n=1000, seed=0) == []


def test_every_stored_row_is_equally_likely(stored, tmp_path):
    counts = np.zeros((6, 20))
    names = [point.digest() for point in stored[1]]
    for seed in range(60):
        diary = tmp_path / str(seed)
        recompute(StoredRows(*stored), HashBackend(diary=str(diary)), n=20, seed=seed)
        for line in diary.read_text().splitlines():
            _, first, _, _, digest = line.split()
            counts[names.index(digest), int(first)] += 1
    chi_square = ((counts - 10.0) ** 2 / 10.0).sum()
    # 119 degrees of freedom, variance reduced by 1/6 without replacement: 3 sigma around the mean.
    assert 55 < chi_square < 150


def test_rows_that_vanish_meanwhile_are_told(stored):
    class Vanishing(StoredRows):
        def chunks(self, point, *, only):
            yield from list(super().chunks(point, only=only))[1:]

    with pytest.raises(InputError, match="must not change while they are verified"):
        recompute(Vanishing(*stored), HashBackend(), n=1000, seed=0)


def test_nothing_stored_is_nothing_to_check():
    assert recompute(StoredRows(MemoryStore(), design(trials=5).points()), HashBackend(), n=10, seed=0) == []
