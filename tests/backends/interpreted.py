"""A CUDA device that is no device: every launch runs the kernel's PTX on the interpreter, on host arrays."""

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


class InterpretedDevice(AbstractDevice):
    """``room``: bytes that it says it has; ``limit``: bytes that it gives; ``counts``: every launch and what it did."""

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

    def _allocate(self, n_bytes):
        held = self.given - sum(size for size, _ in self._idle)
        if self.limit is not None and held + n_bytes > self.limit:
            raise DeviceMemoryError
        self.given += n_bytes
        return np.full(n_bytes, 0xA5, dtype=np.uint8)

    def _launch(self, kernel, grid, arguments):
        found = machine(kernel.name).launch(None, grid, (kernel.threads, 1, 1), arguments)
        self.counts.append((kernel.name, found))
