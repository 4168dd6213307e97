"""A real GPU: Numba's launches on the process's first visible device."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from simprune.backends.compile_cuda import cuda, launchable, out_of_memory
from simprune.backends.cuda_device import AbstractDevice, Array, DeviceMemoryError, Grid
from simprune.backends.cuda_kernels import KERNELS, Kernel


class GpuDevice(AbstractDevice):
    """The first device that ``CUDA_VISIBLE_DEVICES`` leaves; launches go to one stream, in order.

    Nothing happens on the device before the first use. Copies of this object in other processes are their own devices.
    """

    def __reduce__(self) -> tuple[Callable[[], "GpuDevice"], tuple[()]]:
        return gpu_device, ()

    def memory(self) -> tuple[int, int]:
        """Return free and total bytes; what waits for reuse here counts as free."""
        free, total = cuda.current_context().get_memory_info()
        return int(free) + sum(size for size, _ in self._idle), int(total)

    def upload(self, host: Array) -> Any:
        """Return a device array with the contents of ``host``."""
        array = self.empty(host.shape, host.dtype)
        array.copy_to_device(np.ascontiguousarray(host))
        return array

    def download(self, array: Any) -> Array:
        """Wait for all launches and return the contents."""
        host: Array = array.copy_to_host()
        return host

    def _allocate(self, n_bytes: int) -> Any:
        try:
            return cuda.device_array(n_bytes, np.uint8)
        except Exception as error:
            if out_of_memory(error):
                raise DeviceMemoryError from error
            raise

    def _launch(self, kernel: Kernel, grid: Grid, arguments: Sequence[Any]) -> None:
        compiled(kernel.name)[grid, kernel.threads](*arguments)


@cache
def compiled(name: str) -> Any:
    """Return a kernel of the table, compiled for the device (once a machine: it is cached on disk)."""
    kernel = KERNELS[name]
    return launchable(kernel.function, kernel.signature)


@cache
def gpu_device() -> GpuDevice:
    """Return the process's device."""
    return GpuDevice()


def describe() -> str:
    """Return name, compute capability and memory of the device."""
    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    major, minor = device.compute_capability
    free, total = cuda.current_context().get_memory_info()
    return f"{name}, compute capability {major}.{minor}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
