"""Random signs against all 2^n of them."""

import itertools

import numpy as np
import pytest

from simprune.assumptions.signs import signs


def test_the_null_against_all_signs():
    values = np.array([[0.5, -1.0, 2.0], [0.25, 1.5, -0.75]])
    size = np.abs(values).ravel()
    every = [abs(np.dot(s, size)) / np.linalg.norm(size) for s in itertools.product((-1.0, 1.0), repeat=6)]
    found = signs(values, replicates=20_000, rng=np.random.default_rng(1)).values[0]
    assert found[0] == pytest.approx(abs(values.sum()) / np.linalg.norm(size))
    for level in (0.5, 1.0, 1.5):
        assert np.mean(found[1:] >= level) == pytest.approx(np.mean(np.array(every) >= level), abs=0.02)


def test_large_layers_come_in_chunks():
    values = np.random.default_rng(1).standard_normal((256, 256))
    found = signs(values, replicates=150, rng=np.random.default_rng(1)).values[0]
    assert found.shape == (151,)
    assert np.mean(found[1:] ** 2) == pytest.approx(1.0, abs=0.6)
