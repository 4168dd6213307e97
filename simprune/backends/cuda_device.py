"""What the CUDA backend needs of a device: memory, transfers and launches. Tests put an interpreter in its place."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.cuda_kernels import KERNELS, Kernel

ALIGNMENT = 512
Array = npt.NDArray[Any]
Grid = tuple[int, int, int]


class DeviceMemoryError(Exception):
    """The device has no room for an array."""


class AbstractDevice(ABC):
    """A device; its arrays are C-contiguous and live until nothing refers to them, then their buffers are used again.

    A buffer serves the next array of about its size, so that a run allocates in its first micro-batch only. Arrays must
    not be sliced: kernels take offsets.
    """

    def __init__(self) -> None:
        self._idle: list[tuple[int, Any]] = []

    @abstractmethod
    def memory(self) -> tuple[int, int]:
        """Return free and total bytes."""

    @abstractmethod
    def upload(self, host: Array) -> Any:
        """Return a device array with the contents of ``host``."""

    @abstractmethod
    def download(self, array: Any) -> Array:
        """Wait for all launches and return the contents."""

    @abstractmethod
    def _allocate(self, n_bytes: int) -> Any:
        """Return a one-dimensional array of bytes; raises DeviceMemoryError."""

    @abstractmethod
    def _launch(self, kernel: Kernel, grid: Grid, arguments: Sequence[Any]) -> None:
        """Start a kernel."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a device array of any contents."""
        wanted = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
        size = max(1, -(-wanted // ALIGNMENT)) * ALIGNMENT
        buffer_size, buffer = self._idle_buffer(size) or (size, self._fresh(size))
        array = buffer[:wanted].view(np.dtype(dtype)).reshape(shape)
        weakref.finalize(array, self._idle.append, (buffer_size, buffer))
        return array

    def full(self, shape: tuple[int, ...], value: Any, dtype: Any) -> Any:
        """Return a device array of one value."""
        return self.upload(np.full(shape, value, dtype=dtype))

    def launch(self, name: str, grid: Sequence[int], *arguments: Any) -> None:
        """Start a kernel of the table on ``grid`` blocks; scalars are cast to its signature, arrays must have its types."""
        kernel = KERNELS[name]
        x, y, z = (*grid, 1, 1)[:3]
        if x and y and z:
            pairs = zip(arguments, kernel.signature, strict=True)
            self._launch(kernel, (x, y, z), [_typed(value, kind) for value, kind in pairs])

    def _idle_buffer(self, size: int) -> tuple[int, Any] | None:
        fitting = [(found, i) for i, (found, _) in enumerate(self._idle) if size <= found <= 2 * size]
        return self._idle.pop(min(fitting)[1]) if fitting else None

    def _fresh(self, size: int) -> Any:
        try:
            return self._allocate(size)
        except DeviceMemoryError:
            self._idle.clear()
            return self._allocate(size)


def _typed(value: Any, kind: Any) -> Any:
    if not hasattr(kind, "ndim"):
        return np.dtype(kind.name).type(value) if kind.name != "bool" else np.bool_(value)
    if value.ndim != kind.ndim or str(value.dtype) != kind.dtype.name:
        raise TypeError(f"a kernel takes {kind}, got {value.ndim} dimensions of {value.dtype}")
    return value
