"""Plans, adjoints and certified norms of convolutions against dense matrices built column by column."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simprune.backends.certificates import DELTA, KEPT, TARGET
from simprune.backends.conv_certificates import _frequencies, _phases, _root, conv_norms
from simprune.backends.conv_passes import correlate_all, fold_all
from simprune.backends.conv_plan import layer_plan
from simprune.backends.largest_norm import fill_symbols
from simprune.model.chain import Chain
from simprune.model.errors import InputError
from simprune.model.layers import Conv2d
from tests.conv_oracle import matrix_of

pytestmark = pytest.mark.slow


@st.composite
def stages(draw):
    """Convolutions of all kernels, strides, paddings and groups on small images."""
    circular, groups = draw(st.booleans()), draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(2))
    stride = tuple(draw(st.integers(1, 4)) for _ in range(2))
    padding = tuple(draw(st.integers(0, (k - 1) // 2 if circular else k - 1)) for k in kernel)
    channels = [groups * draw(st.integers(1, 5)) for _ in range(2)]
    layer = Conv2d(channels=channels[1], kernel=kernel, stride=stride, padding=padding, circular=circular, groups=groups)
    image = tuple(draw(st.integers(1, 6)) for _ in range(2))
    try:
        return Chain(input=(channels[0], *image), layers=(layer,)).stages[0]
    except InputError:
        return Chain(input=(channels[0], 6, 6), layers=(layer,)).stages[0]


def kernel_of(stage, seed, *, sparse=False):
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=stage.weight_shape)
    return kernel * (rng.random(kernel.shape) < 0.25) if sparse else kernel


def entries_of(stage, gone, kernel):
    """Compressed rows of -Delta for a mask of pruned weights."""
    rows = gone.reshape(stage.matrix_shape)
    starts = np.concatenate([[0], np.cumsum(rows.sum(axis=1))]).astype(np.int64)
    return starts[None], np.nonzero(rows)[1].astype(np.int32)[None], -kernel.reshape(rows.shape)[rows][None]


MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@MANY
@given(stages(), st.integers(0, 1000))
def test_forward_and_adjoint_are_the_matrix_and_its_transpose(stage, seed):
    plan, kernel = layer_plan(stage), kernel_of(stage, seed)
    matrix = matrix_of(stage, kernel)
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(1, plan.n_in, 8)), rng.normal(size=(1, plan.n_out, 8))
    out = np.empty_like(y)
    correlate_all(plan.forward.packed, kernel.reshape(1, -1), x, out)
    np.testing.assert_allclose(out[0], matrix @ x[0], atol=1e-12)
    image, back = np.empty((1, plan.n_image, 8)), np.empty_like(x)
    correlate_all(plan.adjoint.packed, np.ascontiguousarray(kernel.ravel()[plan.order])[None], y, image)
    if plan.folds:
        fold_all(plan.forward.packed, image, back)
    else:
        back = image
    np.testing.assert_allclose(back[0], matrix.T @ y[0], atol=1e-12)


@MANY
@given(stages(), st.integers(0, 1000), st.booleans())
def test_certificates_are_never_below_the_singular_values(stage, seed, sparse):
    kernel = kernel_of(stage, seed, sparse=sparse)
    gone = np.random.default_rng(seed).random(kernel.shape) < 0.3
    entries = entries_of(stage, gone, kernel)
    plan, layer = layer_plan(stage), stage.layer
    full = layer.circular and all(2 * p == k - 1 for p, k in zip(layer.padding, layer.kernel, strict=True))
    exact = full and all(n % s == 0 for n, s in zip(stage.input[1:], layer.stride, strict=True))
    for kind, own in ((TARGET, kernel), (KEPT, np.where(gone, 0.0, kernel)), (DELTA, np.where(gone, kernel, 0.0))):
        wanted = np.linalg.norm(matrix_of(stage, own), 2)
        found = conv_norms(plan, kernel.reshape(1, -1), entries, kind)[0]
        assert found >= wanted * (1.0 - 1e-13)
        assert found <= wanted * 1.0022 or not exact
        if not own.any():
            assert found == 0.0


@pytest.mark.parametrize("image", [(4, 6), (5, 3), (1, 8), (2, 2)])
def test_the_symbol_norm_is_the_norm_of_circular_padding(image):
    layer = Conv2d(channels=3, kernel=(1 if image[0] == 1 else 3, 3), padding=(0 if image[0] == 1 else 1, 1), circular=True)
    stage = Chain(input=(2, *image), layers=(layer,)).stages[0]
    kernel = kernel_of(stage, 3)
    phases = _phases(image, layer.kernel)
    symbols = np.einsum("oit,ft->foi", kernel.reshape(3, 2, -1), phases[..., 0] + 1j * phases[..., 1])
    largest = max(np.linalg.norm(symbol, 2) for symbol in symbols)
    wanted = np.linalg.norm(matrix_of(stage, kernel), 2)
    assert abs(largest - wanted) <= 1e-10 * wanted
    assert wanted * (1.0 - 1e-13) <= _frequencies(kernel, image) <= 1.0022 * wanted


def test_the_torus_bound_covers_large_images_and_loses_little():
    layer = Conv2d(channels=4, kernel=(3, 3), padding=(1, 1))
    stage = Chain(input=(4, 10, 10), layers=(layer,)).stages[0]
    kernel = kernel_of(stage, 1)
    wanted = np.linalg.norm(matrix_of(stage, kernel), 2)
    assert wanted <= _frequencies(kernel, None) <= 1.1 * wanted


def test_roots_of_unity_are_accurate():
    for order in (1, 2, 3, 7, 24, 576, 1000):
        angles = 2.0 * np.pi * np.arange(order) / order
        found = np.array([_root(number, order) for number in range(order)])
        np.testing.assert_allclose(found, np.stack([np.cos(angles), np.sin(angles)], axis=1), atol=2e-15)


def test_symbols_are_sums_of_taps_times_phases():
    taps = np.random.default_rng(5).normal(size=(6, 4, 3))
    phases = _phases((5, 8), (2, 3))
    found = np.empty((len(phases), 8, 6))
    fill_symbols(taps, phases, found)
    wanted = np.tensordot(phases[:, :, 0] + 1j * phases[:, :, 1], taps, axes=1)
    np.testing.assert_allclose(found[:, :4, :3] + 1j * found[:, 4:, :3], wanted, atol=1e-14)
    np.testing.assert_array_equal(found[:, :4, :3], found[:, 4:, 3:])
    np.testing.assert_array_equal(found[:, 4:, :3], -found[:, :4, 3:])
