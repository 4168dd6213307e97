"""Pruned positions and ties against a stable sort and a counter."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simprune.assumptions.magnitudes import Magnitudes

TIED = st.lists(st.integers(-3, 3), min_size=1, max_size=40)


@given(TIED, st.data())
def test_the_smallest_go_and_ties_go_by_index(values, data):
    matrix = np.array(values, dtype=np.float64)[None]
    count = data.draw(st.integers(1, matrix.size))
    found = Magnitudes.of(matrix)
    pruned = found.smallest(count)
    wanted = np.sort(np.argsort(np.abs(matrix[0]), kind="stable")[:count])
    np.testing.assert_array_equal(found.positions(pruned), wanted)
    np.testing.assert_array_equal(np.flatnonzero(pruned.removes(matrix[0], np.arange(matrix.size))), wanted)


@given(TIED)
def test_ties_are_counted(values):
    found = Magnitudes.of(np.array(values, dtype=np.float64)[None]).ties()
    counts = Counter(map(abs, values))
    assert found.tied == sum(n for n in counts.values() if n > 1)
    assert found.zeros == counts[0]


@pytest.mark.parametrize(
    "draw", [np.random.Generator.standard_normal, np.random.Generator.random], ids=["gaussian", "uniform"]
)
def test_ties_by_rounding_are_foreseen(draw):
    matrix = draw(np.random.default_rng(1), (512, 512)).astype(np.float32)
    found = Magnitudes.of(matrix).ties()
    assert found.tied > 1000
    assert found.rounding == pytest.approx(found.tied, rel=0.1)


def test_quantised_weights_tie_beyond_rounding():
    matrix = np.round(40.0 * np.random.default_rng(1).standard_normal((128, 128))) / 40.0
    found = Magnitudes.of(matrix).ties()
    assert found.tied > 0.99 * matrix.size
    assert found.rounding < 1.0
