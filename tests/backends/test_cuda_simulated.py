"""Kernels and launches in Numba's simulator: plain Python threads, a second reading of the same source."""

from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from numba.cuda.simulator.kernel import FakeCUDAKernel

from simprune.backends import cuda_columns, cuda_selection
from simprune.backends.cuda import CudaBackend
from simprune.backends.cuda_batch import digits
from simprune.backends.cuda_plan import layer_plan
from tests.backends.interpreted import InterpretedDevice
from tests.conformance import test_ops as operations


class SimulatedDevice(InterpretedDevice):
    """Launches run in the simulator; the device functions that call barriers run as the plain functions they are."""

    def _launch(self, kernel, grid, arguments):
        with plain_functions():
            FakeCUDAKernel(kernel.function, device=False)[grid, (kernel.threads, 1, 1)](*arguments)


@contextmanager
def plain_functions():
    before = cuda_selection.pick_digit, cuda_columns.column_norm
    cuda_selection.pick_digit, cuda_columns.column_norm = cuda_selection._pick_digit, cuda_columns._column_norm
    try:
        yield
    finally:
        cuda_selection.pick_digit, cuda_columns.column_norm = before


@pytest.mark.slow
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("rank", [1, 17, 60])
def test_the_wanted_key_is_found(n_blocks, rank):
    rng = np.random.default_rng(rank)
    keys = rng.integers(0, 8, size=(2, 60)).astype(np.uint32) << np.uint32(27)
    device, plan = SimulatedDevice(), layer_plan((6, 10))
    state = np.array([[[0, rank, 0], [0, rank, 0]]], dtype=np.int64)
    histogram, tickets = np.zeros((2, cuda_selection.BINS), np.int32), np.zeros(2, np.int32)
    for shift, bits in digits(31):
        device.launch("radix_digit32", (n_blocks, 2), plan, 0, keys, shift, bits, state, histogram, tickets)
    assert not histogram.any()
    assert not tickets.any()
    for t in range(2):
        limit, quota, final = state[0, t].tolist()
        order = np.argsort(keys[t], kind="stable")
        pruned = keys[t] < limit
        pruned[np.flatnonzero(keys[t] == limit)[:quota]] = True
        assert final == 1
        np.testing.assert_array_equal(np.flatnonzero(pruned), np.sort(order[:rank]))


@pytest.mark.slow
def test_steps_of_the_launch_layer():
    operations.test_a_step_goes_along_the_gradient_and_stays_in_the_ball(_Opened(SimulatedDevice()), "float32")


class _Opened:
    """A backend whose targets are drawn on the interpreter and whose other launches are simulated."""

    def __init__(self, device):
        self.device = device

    def open(self, case, trials, trained):
        ops = CudaBackend(device=InterpretedDevice()).open(case, trials, trained)
        ops._device = self.device
        ops.prune = lambda rules: [None] * len(rules)
        return ops
