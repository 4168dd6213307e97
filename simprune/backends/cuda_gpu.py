"""A real GPU: buffers, copies and launches of the table's kernels on the process's first visible device."""

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from simprune.backends.compile import CACHE
from simprune.backends.compile_cuda import compiler_version, cubin_of, ptx_of
from simprune.backends.cuda_arguments import array_values
from simprune.backends.cuda_device import AbstractDevice, Array, Grid
from simprune.backends.cuda_driver import Driver, Launchable
from simprune.backends.cuda_kernels import KERNELS, Kernel


class DeviceArray:
    """A C-contiguous array on the device; its buffer joins the idle ones of the device when the array dies."""

    __slots__ = ("_held", "_idle", "address", "dtype", "shape", "values")

    def __init__(
        self, held: tuple[int, int], idle: list[tuple[int, Any]], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._held, self._idle = held, idle
        self.address, self.shape, self.dtype = held[1], shape, dtype
        self.values = array_values(self.address, shape, dtype.itemsize)

    def reshape(self, length: int, rest: int) -> "DeviceView":
        """Return the same numbers in two dimensions, ``rest`` being -1."""
        assert rest == -1
        return DeviceView(self, (length, math.prod(self.shape) // max(1, length)))

    def __del__(self) -> None:
        self._idle.append(self._held)


class DeviceView:
    """An array on the device with other dimensions; keeps its buffer."""

    __slots__ = ("dtype", "owner", "shape", "values")

    def __init__(self, owner: DeviceArray, shape: tuple[int, int]) -> None:
        self.owner, self.shape, self.dtype = owner, shape, owner.dtype
        self.values = array_values(owner.address, shape, owner.dtype.itemsize)


class GpuDevice(AbstractDevice):
    """The first device that ``CUDA_VISIBLE_DEVICES`` leaves; launches go to one stream, in order.

    Nothing happens on the device before the first use. Copies of this object in other processes are their own devices.
    """

    def __reduce__(self) -> tuple[Callable[[], "GpuDevice"], tuple[()]]:
        return gpu_device, ()

    @cached_property
    def driver(self) -> Driver:
        """The driver, started when first used."""
        return Driver()

    def memory(self) -> tuple[int, int]:
        """Return free and total bytes; what waits for reuse here counts as free."""
        free, total = self.driver.memory()
        return free + sum(size for size, _ in self._idle), total

    def upload(self, host: Array) -> Any:
        """Return a device array with the contents of ``host``."""
        array = self.empty(host.shape, host.dtype)
        if host.size:
            self.driver.write(array.address, np.ascontiguousarray(host))
        return array

    def download(self, array: Any) -> Array:
        """Wait for all launches and return the contents."""
        host: Array = np.empty(array.shape, array.dtype)
        if host.size:
            self.driver.read(host, array.address)
        return host

    def _clear(self, array: Any) -> None:
        if 0 not in array.shape:
            self.driver.clear(array.address, array.dtype.itemsize * math.prod(array.shape))

    def _allocate(self, n_bytes: int) -> Any:
        return self.driver.allocate(n_bytes)

    def _release(self, buffer: Any) -> None:
        self.driver.free(buffer)

    def _array(self, held: tuple[int, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> DeviceArray:
        return DeviceArray(held, self._idle, shape, dtype)

    def _launch(self, kernel: Kernel, grid: Grid, arguments: Sequence[Any]) -> None:
        values: list[Any] = []
        for argument in arguments:
            if isinstance(argument, (DeviceArray, DeviceView)):
                values += argument.values
            else:
                values.append(argument)
        compiled(kernel.name).start(grid, values)


@cache
def compiled(name: str) -> Launchable:
    """Return a kernel of the table, compiled for the device (once a machine: its machine code is kept on disk)."""
    driver, kernel = gpu_device().driver, KERNELS[name]
    capability = driver.capability()
    path = CACHE / f"{name}.sm_{capability[0]}{capability[1]}.{compiler_version()}.cubin"
    try:
        code = path.read_bytes()
    except OSError:
        code = cubin_of(ptx_of(kernel.function, kernel.signature, (capability,))[capability], capability)
        with tempfile.NamedTemporaryFile(dir=CACHE, delete=False) as file:
            file.write(code)
        os.replace(file.name, path)
    return driver.load(code, kernel)


@cache
def gpu_device() -> GpuDevice:
    """Return the process's device."""
    return GpuDevice()


def describe() -> str:
    """Return name, compute capability and memory of the device."""
    driver = gpu_device().driver
    (major, minor), (free, total) = driver.capability(), driver.memory()
    return f"{driver.name()}, compute capability {major}.{minor}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
