"""The interpreter runs whole kernels: Numba's ABI, blocks, shared memory, counts."""

import numpy as np
import pytest

from tests.ptx.compilation import array, compile_ptx, cuda, types
from tests.ptx.errors import BadLaunch
from tests.ptx.machine import Machine

FLOATS = array(types.float32)


def reverse_blocks(x, scale, out):
    """Reverse every block of 64 through shared memory."""
    tile = cuda.shared.array(64, types.float32)
    i = cuda.threadIdx.x
    tile[i] = x[cuda.grid(1)] * scale
    cuda.syncthreads()
    out[cuda.grid(1)] = tile[63 - i]


@pytest.mark.parametrize("cc", [(7, 5), (9, 0), (12, 0)])
@pytest.mark.parametrize("backwards", [False, True])
def test_runs_every_block_of_the_grid(cc, backwards):
    machine = Machine(compile_ptx(reverse_blocks, (FLOATS, types.float32, FLOATS), cc), resident=128)
    x, out = np.arange(64 * 9, dtype=np.float32), np.zeros(64 * 9, np.float32)
    counts = machine.launch("reverse_blocks", 9, 64, [x, 2.0, out], undefined=[2], backwards=backwards)
    assert (out.reshape(9, 64) == 2 * x.reshape(9, 64)[:, ::-1]).all()
    assert [(a.loaded, a.stored, a.atomics) for a in counts.arrays] == [(x.nbytes, 0, 0), (0, x.nbytes, 0)]
    assert counts.loaded["shared"] == counts.stored["shared"] == x.nbytes
    assert counts.flops == {"f32": x.size}


def test_arguments_must_fit_the_kernel():
    machine = Machine(compile_ptx(reverse_blocks, (FLOATS, types.float32, FLOATS)))
    x = np.zeros(64, np.float32)
    with pytest.raises(BadLaunch, match="15 parameters"):
        machine.launch(None, 1, 64, [x, 2.0])
    with pytest.raises(BadLaunch, match="C-contiguous"):
        machine.launch(None, 1, 64, [x[::2], 2.0, x])
    with pytest.raises(BadLaunch, match="1 to 1024"):
        machine.launch(None, 1, 1025, [x, 2.0, x])
    with pytest.raises(BadLaunch, match="must name one kernel"):
        machine.launch("other", 1, 64, [x, 2.0, x])
