"""Statistics of exchangeability against plain NumPy, and their permutations against all there are."""

import itertools

import numpy as np
import pytest

from simprune.assumptions.exchange import KINDS, exchanges
from simprune.assumptions.layer import Sample


def direct(values, levels, n_levels):
    """Return all statistics of one matrix, by kind, in the units of ``exchanges`` (largest magnitude 1)."""
    values = values / np.abs(values).max()
    centred = values - values.mean()
    found = {
        "row sizes": [np.sum(np.linalg.norm(centred, axis=1) ** 4)],
        "column sizes": [np.sum(np.linalg.norm(centred, axis=0) ** 4)],
        "rows": [cosines(centred)],
        "columns": [cosines(centred.T)],
        "spectrum": [np.linalg.norm(centred, 2)],
        "placement": [np.linalg.norm(np.where(levels >= level, values, 0.0), 2) for level in range(1, n_levels + 1)],
    }
    assert set(found) == set(KINDS)
    return found


def cosines(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = itertools.combinations(range(len(rows)), 2)
    return np.sqrt(np.mean([np.dot(unit[i], unit[j]) ** 2 for i, j in pairs]))


def sample(values):
    size = np.abs(values)
    levels = (size < np.quantile(size, 0.6)).astype(np.uint8) + (size < np.quantile(size, 0.2)).astype(np.uint8)
    return Sample(values=values, levels=levels, n_levels=2, is_whole=True)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4)])
def test_observed_values(shape):
    drawn = sample(3.0 + 5.0 * np.random.default_rng(1).standard_normal(shape))
    found = exchanges(drawn, replicates=3, rng=np.random.default_rng(2))
    for kind, wanted in direct(drawn.values, drawn.levels, 2).items():
        np.testing.assert_allclose(found[kind].values[:, 0], wanted, rtol=2e-6)


def test_permutations_are_those_of_values_with_their_levels():
    drawn = sample(np.random.default_rng(3).standard_normal((2, 3)))
    every = []
    for order in itertools.permutations(range(6)):
        moved = [part.ravel()[list(order)].reshape(2, 3) for part in (drawn.values, drawn.levels)]
        every.append(direct(*moved, 2))
    found = exchanges(drawn, replicates=4000, rng=np.random.default_rng(4))
    for kind, replicates in found.items():
        for variant, row in enumerate(replicates.values):
            exact = np.array([one[kind][variant] for one in every])
            nearest = np.abs(row[1:, None] - exact[None]).min(axis=1)
            assert nearest.max() < 1e-5 * exact.max()
            assert row[1:].mean() == pytest.approx(exact.mean(), abs=5.0 * exact.std() / np.sqrt(4000) + 1e-6)
            assert row[1:].std() == pytest.approx(exact.std(), rel=0.1, abs=1e-5)


def test_the_number_of_stacks_does_not_matter():
    drawn = sample(np.random.default_rng(5).standard_normal((8, 8)))
    few = exchanges(drawn, replicates=5, rng=np.random.default_rng(6))
    many = exchanges(drawn, replicates=2000, rng=np.random.default_rng(6))
    for kind in KINDS:
        np.testing.assert_allclose(many[kind].values[:, :6], few[kind].values, rtol=1e-5)


def test_rows_of_zeros_are_no_error():
    values = np.random.default_rng(7).standard_normal((6, 6))
    values[2] = 0.0
    found = exchanges(sample(values - values.mean()), replicates=20, rng=np.random.default_rng(8))
    assert all(np.isfinite(part.values).all() for part in found.values())
