"""NVIDIA's driver for one process: context, memory, copies, and launches of arguments that are packed already.

Numba compiles the kernels; its own launches unpack every array anew, which takes longer than most kernels of a small
network run.
"""

import ctypes
import threading
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.cuda_arguments import packing
from simprune.backends.cuda_device import DeviceMemoryError
from simprune.backends.cuda_kernels import Kernel

# CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE and CU_LAUNCH_PARAM_END of the driver's interface.
BUFFER, SIZE, END = 1, 2, 0


@cache
def _driver() -> Any:
    from cuda.bindings import driver

    return driver


def _done(answer: tuple[Any, ...]) -> Any:
    """Return what a call of the driver gave; raises if it failed."""
    code, *found = answer
    if code:
        if code == _driver().CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise DeviceMemoryError
        raise RuntimeError(f"NVIDIA's driver failed: {code.name}")
    return found[0] if len(found) == 1 else found


class Driver:
    """The primary context of the first visible device; usable from any thread, one at a time."""

    def __init__(self) -> None:
        driver = _driver()
        _done(driver.cuInit(0))
        self.device = _done(driver.cuDeviceGet(0))
        self._context = _done(driver.cuDevicePrimaryCtxRetain(self.device))
        self._thread: int | None = None
        self.enter()

    def enter(self) -> Any:
        """Make the context current in the calling thread and return the driver's interface."""
        if self._thread != threading.get_ident():
            _done(_driver().cuCtxSetCurrent(self._context))
            self._thread = threading.get_ident()
        return _driver()

    def capability(self) -> tuple[int, int]:
        """Return the compute capability."""
        driver = self.enter()
        names = driver.CUdevice_attribute
        wanted = (names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, names.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
        major, minor = (int(_done(driver.cuDeviceGetAttribute(name, self.device))) for name in wanted)
        return major, minor

    def name(self) -> str:
        """Return the device's name."""
        text: bytes = _done(self.enter().cuDeviceGetName(100, self.device))
        return text.partition(b"\0")[0].decode()

    def memory(self) -> tuple[int, int]:
        """Return free and total bytes."""
        free, total = _done(self.enter().cuMemGetInfo())
        return int(free), int(total)

    def allocate(self, n_bytes: int) -> int:
        """Return the address of a buffer; raises DeviceMemoryError."""
        return int(_done(self.enter().cuMemAlloc(n_bytes)))

    def free(self, address: int) -> None:
        """Give a buffer back."""
        _done(self.enter().cuMemFree(address))

    def write(self, address: int, host: npt.NDArray[Any]) -> None:
        """Copy a C-contiguous array to an address."""
        _done(self.enter().cuMemcpyHtoD(address, host.ctypes.data, host.nbytes))

    def read(self, host: npt.NDArray[Any], address: int) -> None:
        """Fill a C-contiguous array from an address, behind all launches."""
        _done(self.enter().cuMemcpyDtoH(host.ctypes.data, address, host.nbytes))

    def clear(self, address: int, n_bytes: int) -> None:
        """Set bytes to 0, in the order of the launches."""
        _done(self.enter().cuMemsetD8(address, 0, n_bytes))

    def load(self, code: bytes, kernel: Kernel) -> "Launchable":
        """Return a kernel, ready to start, from its machine code."""
        driver = self.enter()
        module = _done(driver.cuModuleLoadData(np.frombuffer(code, dtype=np.uint8).ctypes.data))
        (function,) = _done(driver.cuModuleEnumerateFunctions(1, module))
        return Launchable(self, function, kernel)


class Launchable:
    """A loaded kernel with the buffer that its arguments are packed into; the driver copies it at every launch."""

    def __init__(self, driver: Driver, function: Any, kernel: Kernel) -> None:
        self._driver, self._function, self._threads = driver, function, kernel.threads
        self._packing = packing(kernel.signature)
        self._buffer = ctypes.create_string_buffer(self._packing.size)
        self._size = ctypes.c_size_t(self._packing.size)
        parts = (BUFFER, ctypes.addressof(self._buffer), SIZE, ctypes.addressof(self._size), END)
        self._extra = (ctypes.c_void_p * len(parts))(*parts)
        self._extra_at = ctypes.addressof(self._extra)

    def start(self, grid: tuple[int, int, int], values: list[Any]) -> None:
        """Start the kernel with the flat values of its arguments."""
        self._packing.pack_into(self._buffer, 0, *values)
        driver = self._driver.enter()
        _done(driver.cuLaunchKernel(self._function, *grid, self._threads, 1, 1, 0, 0, 0, self._extra_at))
