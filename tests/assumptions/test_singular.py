"""Norms by bidiagonalisation against the singular value decomposition: never above it, and near."""

import numpy as np
import pytest
from scipy import sparse

from simprune.assumptions.singular import sparse_norm, spectral_norm, spectral_norms

SHAPES = [(1, 5), (5, 1), (2, 3), (40, 40), (10, 300), (300, 10), (128, 64)]


def stack(shape, *, seed=1, count=4):
    rng = np.random.default_rng(seed)
    matrices = rng.standard_normal((count, *shape))
    matrices[1] *= rng.random(shape) < 0.05
    matrices[2] += 2.0 * np.outer(rng.standard_normal(shape[0]), rng.standard_normal(shape[1]))
    matrices[3] = 0.0
    return matrices


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_stack_against_the_singular_values(shape, kind):
    matrices = stack(shape).astype(kind)
    exact = np.linalg.svd(matrices.astype(np.float64), compute_uv=False)[:, 0]
    found = spectral_norms(matrices, steps=60)
    rounding = 50.0 * np.finfo(kind).eps
    assert np.all(found <= exact * (1.0 + rounding))
    np.testing.assert_allclose(found, exact, rtol=max(1e-4, rounding))


def test_few_steps_stay_below_and_rank_alike():
    matrices = np.random.default_rng(2).standard_normal((50, 64, 64))
    exact = np.linalg.svd(matrices, compute_uv=False)[:, 0]
    found = spectral_norms(matrices, steps=16)
    assert np.all(found <= exact * (1.0 + 1e-12))
    assert np.all(found >= 0.97 * exact)
    assert np.corrcoef(found, exact)[0, 1] > 0.9


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sparse_matrix(shape):
    for matrix in stack(shape):
        exact = np.linalg.svd(matrix, compute_uv=False)[0]
        assert sparse_norm(sparse.csr_array(matrix)) == pytest.approx(exact, rel=1e-4)
        assert spectral_norm(matrix) == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_tiny_and_huge_entries(size):
    matrix = np.random.default_rng(3).standard_normal((20, 20)).astype(np.float32)
    wanted = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)[0] * size
    assert spectral_norm((matrix * size).astype(np.float32)) == pytest.approx(wanted, rel=1e-4)
