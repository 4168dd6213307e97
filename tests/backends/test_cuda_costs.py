"""The stated traffic and arithmetic of the kernels against what the interpreter counts."""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from simprune.backends import cuda_costs as costs
from simprune.backends.cuda import CudaBackend
from simprune.gap.ascent import Ascent
from simprune.model.activations import ReLU
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
    kept = 4 * D * D * (1 - 0.2)
    near(counted["smallest_kept32"][0].arrays[1].loaded, kept)
    assert counted["smallest_kept32"][0].arrays[1].loaded <= costs.smallest_kept(D, D, 1, size=4).loaded


def test_a_roofline_is_the_slower_of_traffic_and_arithmetic():
    cost = costs.Cost(loaded=60, stored=40, flops=10) + costs.Cost(flops=990)
    assert cost.seconds(bytes_per_second=10.0, flops_per_second=1.0) == 1000.0
    assert cost.seconds(bytes_per_second=0.01, flops_per_second=1.0) == 10000.0
