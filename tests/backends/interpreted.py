"""A CUDA device that is no device: every launch runs the kernel's PTX on the interpreter, on host arrays."""

import math
import weakref
from functools import cache

import numpy as np

from simprune.backends.compile_cuda import ptx_of
from simprune.backends.cuda_device import AbstractDevice, DeviceMemoryError
from simprune.backends.cuda_kernels import ARCHITECTURES, KERNELS
from tests.ptx.machine import Machine

CAPABILITY = (9, 0)


@cache
def compiled(name):
    """PTX of a kernel of the table for every architecture."""
    kernel = KERNELS[name]
    return ptx_of(kernel.function, kernel.signature, ARCHITECTURES)


@cache
def machine(name):
    """The interpreter of one kernel."""
    return Machine(compiled(name)[CAPABILITY])


def packed(mask):
    """The words of a mask (True = kept): 32 entries of a row a word, the first one lowest."""
    bits = np.zeros((*mask.shape[:2], -(-mask.shape[2] // 32) * 32), np.uint8)
    bits[:, :, : mask.shape[2]] = ~mask
    return np.packbits(bits, axis=2, bitorder="little").view("<u4").reshape(len(mask), -1)


class InterpretedDevice(AbstractDevice):
    """``room``: bytes that it says it has; ``limit``: what it gives at a time; ``counts``: launches and what they did."""

    def __init__(self, *, room=1 << 30, limit=None):
        super().__init__()
        self.room, self.limit, self.given, self.counts = room, limit, 0, []

    def memory(self):
        return self.room, 2 * self.room

    def upload(self, host):
        array = self.empty(host.shape, host.dtype)
        array[...] = host
        return array

    def download(self, array):
        return np.array(array)

    def _clear(self, array):
        array[...] = 0

    def _allocate(self, n_bytes):
        if self.limit is not None and self.given + n_bytes > self.limit:
            raise DeviceMemoryError
        self.given += n_bytes
        return np.full(n_bytes, 0xA5, dtype=np.uint8)

    def _release(self, buffer):
        self.given -= buffer.size

    def _array(self, held, shape, dtype):
        array = held[1][: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
        weakref.finalize(array, self._idle.append, held)
        return array

    def _launch(self, kernel, grid, arguments):
        found = machine(kernel.name).launch(None, grid, (kernel.threads, 1, 1), arguments)
        self.counts.append((kernel.name, found))
