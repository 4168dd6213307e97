"""Correlations of images with many columns, where tiles of every width and their remainders come up, against matrices."""

import numpy as np
import pytest

from simprune.backends.conv_passes import add_correlation_all, correlate_all
from simprune.backends.conv_plan import layer_plan
from simprune.backends.conv_scratch import scratch
from simprune.backends.reference_conv import written_out
from simprune.model.chain import Chain
from simprune.model.layers import Conv2d

LAYERS = {
    "padded": (Conv2d(channels=9, kernel=(3, 3), padding=(1, 1)), (4, 5, 9)),
    "circular": (Conv2d(channels=5, kernel=(3, 3), padding=(1, 1), circular=True), (3, 4, 7)),
    "strides and groups": (Conv2d(channels=6, kernel=(3, 2), stride=(2, 1), groups=2), (4, 6, 9)),
    "no row together": (Conv2d(channels=4, kernel=(2, 2), stride=(1, 2)), (2, 3, 8)),
}


def sparse_part(rng, weights, plan):
    """Compressed rows of -Delta for a third of the weights, one filter left whole; and Delta itself."""
    gone = rng.random((len(weights), plan.rows, plan.columns)) < 0.3
    gone[:, 0] = False
    starts = np.zeros((len(weights), plan.rows + 1), dtype=np.int64)
    np.cumsum(gone.sum(axis=2), axis=1, out=starts[:, 1:])
    columns = np.zeros((len(weights), int(starts[:, -1].max())), dtype=np.int32)
    values = np.zeros(columns.shape, weights.dtype)
    matrices = weights.reshape(gone.shape)
    for t, own in enumerate(gone):
        n = int(starts[t, -1])
        columns[t, :n], values[t, :n] = np.nonzero(own)[1], -matrices[t][own]
    return (starts, columns, values), np.where(gone, matrices, 0)


@pytest.mark.parametrize("n_columns", [8, 24, 40, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_correlations_are_products_with_the_written_out_matrix(name, dtype, n_columns):
    layer, source = LAYERS[name]
    (stage,) = Chain(input=source, layers=(layer,)).stages
    plan, rng = layer_plan(stage), np.random.default_rng(n_columns)
    weights = rng.standard_normal((2, plan.rows * plan.columns)).astype(dtype)
    x = rng.standard_normal((2, plan.n_in, n_columns)).astype(dtype)
    out = np.full((2, plan.n_out, n_columns), np.nan, dtype)
    entries, delta = sparse_part(rng, weights, plan)
    wide = x.astype(np.longdouble)
    whole, gone = (written_out(stage, w.astype(np.float64).reshape(2, plan.rows, -1)) for w in (weights, delta))
    bound = (plan.columns + 2) * np.finfo(dtype).eps * ((np.abs(whole) + np.abs(gone)) @ np.abs(wide))
    correlate_all(plan.forward.packed, weights, x, out)
    assert np.all(np.abs(out - whole @ wide) <= bound)
    add_correlation_all(plan.forward.packed, entries, x, out)
    assert np.all(np.abs(out - (whole - gone) @ wide) <= bound)


@pytest.mark.parametrize("n_columns", [8, 40, 64])
def test_a_column_does_not_depend_on_the_columns_beside_it(n_columns):
    layer, source = LAYERS["padded"]
    (stage,) = Chain(input=source, layers=(layer,)).stages
    plan, rng = layer_plan(stage), np.random.default_rng(1)
    weights = rng.standard_normal((1, plan.rows * plan.columns)).astype(np.float32)
    x = rng.standard_normal((1, plan.n_in, n_columns)).astype(np.float32)
    entries, _ = sparse_part(rng, weights, plan)
    whole = np.empty((1, plan.n_out, n_columns), np.float32)
    correlate_all(plan.forward.packed, weights, x, whole)
    add_correlation_all(plan.forward.packed, entries, x, whole)
    for first in range(0, n_columns, 8):
        alone = np.empty((1, plan.n_out, 8), np.float32)
        part = np.ascontiguousarray(x[:, :, first : first + 8])
        correlate_all(plan.forward.packed, weights, part, alone)
        add_correlation_all(plan.forward.packed, entries, part, alone)
        assert whole[:, :, first : first + 8].tobytes() == alone.tobytes()


def test_the_room_of_a_thread_grows_and_is_used_again():
    small = scratch(1000, np.float32)
    large = scratch(1 << 20, np.float64)
    assert (small.size, small.dtype, large.size, large.dtype) == (1000, np.float32, 1 << 20, np.float64)
    again = scratch(10, np.float32)
    assert again.ctypes.data == large.ctypes.data
    assert large.ctypes.data % (1 << 21) == 0
