"""Layers as matrices, refusals, and samples of rows and columns."""

import numpy as np
import pytest

from simprune.assumptions.layer import as_layers, most_entries, sampled
from simprune.assumptions.magnitudes import Magnitudes
from simprune.model.errors import InputError

RNG = np.random.default_rng(1)


def test_a_kernel_becomes_a_matrix():
    kernel = RNG.standard_normal((4, 3, 2, 5))
    (layer,) = as_layers({"k": kernel})
    assert layer.shape == (4, 3, 2, 5)
    np.testing.assert_array_equal(layer.matrix, kernel.reshape(4, 30))


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({}, "at least one weight matrix"),
        ({"b": np.ones(3)}, "b must be a matrix"),
        ({"w": np.ones((0, 3))}, "w must be a matrix"),
        ({"w": np.ones((3, 3), dtype=int)}, "floating-point"),
        ({"w": np.array([[1.0, np.nan], [np.inf, 2.0]])}, "got 2 NaN or infinite"),
    ],
)
def test_refusals(weights, told):
    with pytest.raises(InputError, match=told):
        as_layers(weights)


@pytest.mark.parametrize(
    ("values", "reason"),
    [(np.ones((1, 50)), "single row"), (np.ones((3, 3)), "fewer than 20"), (np.ones((5, 5)), "all its weights are equal")],
)
def test_untestable(values, reason):
    assert reason in as_layers({"w": values})[0].untestable


@pytest.mark.parametrize("shape", [(300, 400), (10, 20_000), (20_000, 10), (1000, 30), (20, 20)])
def test_a_sample_is_rows_and_columns_with_their_levels(shape):
    (layer,) = as_layers({"w": RNG.standard_normal(shape)})
    magnitudes = Magnitudes.of(layer.matrix)
    pruned = (magnitudes.smallest(layer.n_weights // 2), magnitudes.smallest(layer.n_weights // 10))
    found = sampled(layer, pruned, most=10_000, rng=np.random.default_rng(2))
    assert 0.5 * min(10_000, layer.n_weights) < found.values.size <= 1.1 * 10_000
    assert found.is_whole == (layer.n_weights <= 10_000)
    where = {value: i for i, value in enumerate(layer.matrix.ravel())}
    flat = np.array([where[value] for value in found.values.ravel()]).reshape(found.values.shape)
    assert len(np.unique(flat // shape[1], axis=None)) == len(found.values)
    wanted = np.sum([np.isin(flat, magnitudes.positions(part)) for part in pruned], axis=0)
    np.testing.assert_array_equal(found.levels, wanted)


def test_entries_are_shared_among_layers():
    assert most_entries(1) == most_entries(4) == 1 << 16
    assert most_entries(10_000) == 1 << 13
