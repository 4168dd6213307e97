"""The stated traffic and arithmetic of the kernels against what the interpreter counts."""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from simprune.backends import cuda_costs as costs
from simprune.backends.cuda import CudaBackend
from simprune.gap.ascent import Ascent
from simprune.model.activations import ReLU
from simprune.model.chain import Chain
from simprune.model.layers import AveragePool, Conv2d
from simprune.model.pruning import MagnitudePruning
from tests.backends.interpreted import InterpretedDevice
from tests.conformance.cases import point

D, COLUMNS = 256, 16


@pytest.fixture(scope="module")
def counted():
    """Counts by kernel of the selection and of one pass there and back of a layer 256 x 256; share 1/5 and 1/50 pruned."""
    device = InterpretedDevice()
    case = point((D, D), activation=ReLU(), estimators=(Ascent(restarts=COLUMNS),))
    ops = CudaBackend(device=device).open(case, np.arange(1), None)
    x = ops.random_inputs(5, COLUMNS)
    for fraction in (0.2, 0.02):
        pruned = ops.prune([MagnitudePruning(pruned_fraction=fraction)])[0]
        ops.gap_and_gradient(x, pruned)
    ops.difference(ops.forward(x), pruned)
    found = {}
    for name, counts in device.counts:
        found.setdefault(name, []).append(counts)
    return found


def near(found, stated):
    assert stated * 0.999 <= found <= stated * 1.10, (found, stated)


@pytest.mark.slow
def test_select_and_mask_read_the_keys_four_times(counted):
    keys = sum(c.arrays[1].loaded for c in counted["radix_digit32"][:3]) + counted["pack_mask32"][0].arrays[1].loaded
    stated = costs.select_and_mask(D, D, 1, size=4, n_passes=3)
    assert keys <= stated.loaded <= 4.1 * 4 * D * D
    # Passes after the limit is final read nothing.
    assert keys >= 0.5 * stated.loaded
    assert counted["radix_digit32"][0].arrays[1].loaded == 4 * D * D
    assert counted["count_ties32"][0].arrays[1].loaded == 0
    assert counted["pack_mask32"][0].arrays[4].stored == stated.stored


@pytest.mark.slow
def test_sampling_reads_nothing_that_grows(counted):
    stored = sum(array.stored for array in counted["sample32"][0].arrays)
    assert stored == costs.sample(D * D, 1, size=4).stored


@pytest.mark.slow
def test_products_read_weights_once_a_panel(counted):
    pair, stated = counted["pair_product32"][0], costs.pair_product(D, D, 1, COLUMNS, size=4)
    _plan, weights, _mask, a, b, z, dz, _bias = pair.arrays
    assert weights.loaded == 4 * D * D
    near(weights.loaded + a.loaded + b.loaded, stated.loaded)
    near(z.stored + dz.stored, stated.stored)
    near(pair.flops["f32"], stated.flops)
    single, stated = counted["product32"][0], costs.product(D, D, 1, COLUMNS, size=4)
    _plan, weights, a, z, _bias = single.arrays
    near(weights.loaded + a.loaded, stated.loaded)
    near(single.flops["f32"], stated.flops)


@pytest.mark.slow
def test_corrections_touch_pruned_entries_only(counted):
    found, n_pruned = counted["correct32"][-1], int(0.02 * D * D)
    stated = costs.correct(D, n_pruned, 1, COLUMNS, size=4)
    _plan, weights, _mask, a, b, dz = found.arrays
    near(weights.loaded + a.loaded + b.loaded + dz.loaded, stated.loaded)
    assert dz.stored == stated.stored
    near(found.flops["f32"], stated.flops)


@pytest.mark.slow
def test_smallest_kept_reads_weights_once(counted):
    near(counted["smallest_kept32"][0].arrays[1].loaded, costs.smallest_kept(D, D, 1, size=4).loaded)


CHAIN = Chain(
    input=(8, 9, 9),
    layers=(
        Conv2d(channels=64, kernel=(3, 3)),
        AveragePool(kernel=(2, 2), stride=(2, 2)),
        Conv2d(channels=128, kernel=(2, 2), groups=2),
    ),
)


@pytest.mark.slow
def test_convolutions_and_pooling_move_what_they_must():
    device = InterpretedDevice()
    ops = CudaBackend(device=device).open(point(chain=CHAIN, activation=ReLU()), np.arange(1), None)
    pruned = ops.prune([MagnitudePruning(pruned_fraction=0.2)])[0]
    x = ops.random_inputs(5, 8)
    ops.output_gradient(ops.forward(x))
    ops.gap_and_gradient(x, pruned)
    ops.evaluate(np.ones((1, 648)), pruned)
    found = {}
    for name, counts in device.counts:
        found.setdefault(name, []).append(counts)
    # Forward, then adjoint from the last layer on, of the targets; the same of the pair. Zeros pad the adjoints of the last
    # layer, 4 x 4 places from 3 x 3, and of the first, 9 x 9 from 7 x 7.
    shapes = [(64, 72, 7 * 7 * 8, 1), (64, 128, 2 * 2 * 8, 2), (32, 256, 3 * 3 * 8, 2), (8, 576, 9 * 9 * 8, 1)]
    padding = [1.0, 1.0, 4 * 4 / (4 * 3 * 3), 9 * 9 * 49 / (9 * 9 * 81)]
    for i, counts in enumerate(found["convolve32"]):
        rows, terms, places, groups = shapes[i % 4]
        stated = costs.convolve(rows, terms, places, 1, size=4, paired=i >= 4, groups=groups)
        _plan, weights, _mask, a, b, z, dz, _bias = counts.arrays
        images = stated.loaded - 4 * groups * rows * terms * -(-places // 16)
        near(weights.loaded, stated.loaded - images)
        near(a.loaded + b.loaded, images * padding[i % 4])
        near(z.stored + (dz.stored if i >= 4 else 0), stated.stored)
        near(counts.flops["f32"], stated.flops)
    counts, stated = found["pool32"][1], costs.pool(64 * 3 * 3, 4, 1, 8, size=4)
    _window, h, dh = counts.arrays
    near(h.loaded + dh.loaded, stated.loaded)
    assert h.stored + dh.stored == stated.stored
    counts = found["evaluate_convolution_of_singles"][0]
    stated = costs.evaluate_convolution(64 * 7 * 7, 72, 1, size=4, kept=0.8)
    _plan, weights, _mask, _bias, state = counts.arrays
    near(weights.loaded + state.loaded, stated.loaded)
    assert state.stored == stated.stored
    near(counts.flops["f64"], stated.flops)


def test_a_roofline_is_the_slower_of_traffic_and_arithmetic():
    cost = costs.Cost(loaded=60, stored=40, flops=10) + costs.Cost(flops=990)
    assert cost.seconds(bytes_per_second=10.0, flops_per_second=1.0) == 1000.0
    assert cost.seconds(bytes_per_second=0.01, flops_per_second=1.0) == 10000.0
