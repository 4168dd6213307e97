import numpy as np
import pytest

from simprune.backends import selection
from simprune.backends.compile import kernel
from simprune.backends.selection import bracket

TOP = (1 << 31) - 1
select, list_at_most, flag_words, list_words = (
    kernel(function.py_func)
    for function in (selection.select, selection.list_at_most, selection.flag_words, selection.list_words)
)


def selected(keys, k, low, high):
    index, scratch = np.empty(keys.size, np.int32), np.empty(keys.size, keys.dtype)
    low, high = keys.dtype.type(low), keys.dtype.type(high)
    kept = select(keys, k, low, high, index, list_at_most(keys, high, index), scratch)
    return index[:k].copy(), int(kept)


def expected(keys, k):
    order = np.argsort(keys, kind="stable")
    return np.sort(order[:k]), int(order[k]) if k < keys.size else -1


@pytest.mark.parametrize("size", [1, 5, 31, 32, 33, 64, 1000, 4096, 65_536])
@pytest.mark.parametrize("distinct", [1, 2, 7, TOP], ids=lambda n: f"{n} distinct")
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_selection_equals_a_stable_argsort_for_every_count(size, distinct, dtype):
    keys = np.random.default_rng(size + distinct).integers(0, distinct, size, dtype=dtype)
    for k in sorted({0, 1, size // 100, size // 3, size - 1, size}):
        index, kept = selected(keys, k, *bracket(size, k, TOP))
        positions, smallest_kept = expected(keys, k)
        assert np.array_equal(index, positions)
        assert kept == smallest_kept


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 10), (TOP - 5, TOP), (TOP, TOP), (1 << 20, 1 << 21)])
def test_a_wrong_bracket_changes_nothing(low, high):
    keys = np.random.default_rng(3).integers(0, TOP, 3000, dtype=np.int32)
    for k in (0, 1, 700, 2999):
        index, kept = selected(keys, k, low, high)
        positions, smallest_kept = expected(keys, k)
        assert np.array_equal(index, positions)
        assert kept == smallest_kept


def test_brackets_of_uniform_keys_rarely_miss():
    # the stated chance is about 1e-5 a draw: at most 2 misses in 2000 draws fails with probability below 1e-6
    rng, misses = np.random.default_rng(4), 0
    for _ in range(2000):
        n, k = 4096, int(rng.integers(1, 4000))
        low, high = bracket(n, k, TOP)
        keys = np.sort(rng.integers(0, TOP, n, dtype=np.int32))
        misses += not (low <= keys[k - 1] and keys[k] <= high)
    assert misses <= 2


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.01, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("size", [32, 96, 1024])
def test_random_words_are_listed_by_their_lower_31_bits(share, size):
    words = np.random.default_rng(size).integers(0, 1 << 32, size, dtype=np.uint32)
    index, high = np.full(size + 64, -7, np.int32), np.int32(share * TOP)
    flags = np.empty(size // 32, np.uint32)
    flag_words(words, high, flags)
    wanted = (words & np.uint32(TOP)) <= high
    assert np.array_equal(np.unpackbits(flags.view(np.uint8), bitorder="little"), wanted)
    found = list_words(words, flags, high, index)
    assert np.array_equal(index[:found], np.flatnonzero(wanted))


def test_places_that_come_often_after_seldom_and_seldom_after_often_are_listed():
    rng = np.random.default_rng(4)
    keys = np.concatenate([rng.integers(50, TOP, 3000), rng.integers(0, 100, 500), rng.integers(40, TOP, 3000)])
    index = np.empty(keys.size + 64, np.int32)
    found = list_at_most(keys.astype(np.int32), np.int32(50), index)
    assert np.array_equal(index[:found], np.flatnonzero(keys <= 50))
