import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simprune import magnitude_mask
from simprune.model.errors import InputError


def stable(array, k):
    mask = np.ones(array.size, dtype=bool)
    mask[np.argsort(np.abs(array).ravel(), kind="stable")[:k]] = False
    return mask.reshape(array.shape)


def data(kind, size, rng):
    if kind == "plain":
        return rng.standard_normal(size)
    if kind == "tied":
        return rng.integers(-3, 4, size).astype(float)
    if kind == "zero":
        return np.zeros(size)
    values = np.where(rng.random(size) < 0.5, -0.0, rng.standard_normal(size))
    values[:1] = np.inf
    return values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "tied", "zero", "half zero and infinite"])
@pytest.mark.parametrize("size", [0, 1, 31, 33, 1000, 4095, 4097, 100_003])
def test_masks_equal_those_of_a_stable_argsort(dtype, kind, size):
    array = data(kind, size, np.random.default_rng(size)).astype(dtype)
    for k in sorted({0, min(1, size), size // 10, size // 2, max(size - 1, 0), size}):
        assert np.array_equal(magnitude_mask(array, k), stable(array, k))


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=4, max_side=9), elements=st.floats(-4, 4, width=32)),
    st.floats(0, 1),
)
def test_any_shape_and_any_count(array, share):
    k = int(share * array.size)
    assert np.array_equal(magnitude_mask(array, k), stable(array, k))


def test_strided_arrays_and_subnormals():
    array = (np.random.default_rng(1).standard_normal((50, 60)).astype(np.float32) * np.float32(1e-42))[::2, ::3]
    assert np.array_equal(magnitude_mask(array, 123), stable(array, 123))


@pytest.mark.parametrize("size", [100, 10_000])
def test_nan_is_refused_with_its_count(size):
    array = np.ones(size)
    array[[3, 5]] = np.nan
    with pytest.raises(InputError, match="got 2 NaN"):
        magnitude_mask(array, 1)


def test_other_types_and_counts_are_refused():
    with pytest.raises(InputError, match="float32 or float64 array, got int64"):
        magnitude_mask(np.arange(3), 1)
    with pytest.raises(InputError, match=r"0\.\.3, the size of the array, got 4"):
        magnitude_mask(np.ones(3), 4)
