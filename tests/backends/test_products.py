import numpy as np
import pytest

from simprune.backends import products
from simprune.backends.compile import kernel

multiply, multiply_both, multiply_listed, add_sparse = (
    kernel(function.py_func)
    for function in (products.multiply, products.multiply_both, products.multiply_listed, products.add_sparse)
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 8), (3, 5, 8), (8, 8, 16), (13, 1, 24), (64, 33, 40), (100, 257, 72)])
def test_products_with_any_shape(dtype, shape):
    m, n, c = shape
    rng = np.random.default_rng(m)
    w, x = rng.standard_normal((m, n)).astype(dtype), rng.standard_normal((n, c)).astype(dtype)
    z = np.full((m, c), np.nan, dtype)
    multiply(w, x, z)
    exact = w.astype(np.longdouble) @ x.astype(np.longdouble)
    bound = (n + 1) * np.finfo(dtype).eps * (np.abs(w) @ np.abs(x))
    assert np.all(np.abs(z - exact) <= bound)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [8, 24])
@pytest.mark.parametrize("m", [1, 7, 8, 19])
def test_two_products_at_once_have_the_bits_of_each(dtype, c, m):
    rng = np.random.default_rng(m)
    w = rng.standard_normal((m, 33)).astype(dtype)
    x, y = rng.standard_normal((2, 33, c)).astype(dtype)
    u, v = np.full((2, m, c), np.nan, dtype)
    multiply_both(w, x, y, u, v)
    for panel, found in ((x, u), (y, v)):
        alone = np.empty((m, c), dtype)
        multiply(w, panel, alone)
        assert found.tobytes() == alone.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("c", [8, 24, 72])
def test_products_with_listed_rows_have_the_same_bits(dtype, c):
    rng = np.random.default_rng(c)
    w, x = rng.standard_normal((19, 50)).astype(dtype), rng.standard_normal((50, c)).astype(dtype)
    used = np.flatnonzero(rng.random(50) < 0.4).astype(np.int32)
    x[np.setdiff1d(np.arange(50), used)] = 0.0
    whole, part = np.empty((19, c), dtype), np.full((19, c), np.nan, dtype)
    multiply(w, x, whole)
    multiply_listed(w, x, used, part)
    assert np.array_equal(whole, part)
    multiply_listed(w, x, used[:0], part)
    assert not part.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_products_with_a_pair_take_the_rounded_sum(dtype):
    rng = np.random.default_rng(5)
    row_start, index = np.array([0, 3, 3, 7]), rng.integers(0, 9, 7).astype(np.int32)
    value = rng.standard_normal(7).astype(dtype)
    x, y = rng.standard_normal((2, 9, 24)).astype(dtype)
    z = rng.standard_normal((3, 24)).astype(dtype)
    paired, summed = z.copy(), z.copy()
    add_sparse(row_start, index, value, (x, y), paired)
    add_sparse(row_start, index, value, x + y, summed)
    assert np.array_equal(paired, summed)


def test_columns_do_not_depend_on_their_neighbours():
    rng = np.random.default_rng(2)
    w, x = rng.standard_normal((37, 50)).astype(np.float32), rng.standard_normal((50, 40)).astype(np.float32)
    whole, part = np.empty((37, 40), np.float32), np.empty((37, 8), np.float32)
    multiply(w, x, whole)
    for first in (0, 8, 32):
        multiply(w, np.ascontiguousarray(x[:, first : first + 8]), part)
        assert np.array_equal(part, whole[:, first : first + 8])


@pytest.mark.parametrize("columns", [8, 16, 24, 64])
def test_sparse_products_add_to_what_is_there(columns):
    rng = np.random.default_rng(columns)
    dense = np.where(rng.random((20, 30)) < 0.2, rng.standard_normal((20, 30)), 0.0)
    dense[3] = 0.0
    row_start = np.concatenate([[0], np.cumsum((dense != 0).sum(axis=1))])
    index, value = np.nonzero(dense)[1].astype(np.int32), dense[dense != 0]
    x, z = rng.standard_normal((30, columns)), rng.standard_normal((20, columns))
    expected = z + dense @ x
    add_sparse(row_start, index, value, x, z)
    assert np.allclose(z, expected, rtol=1e-13, atol=1e-13)
