"""What the CUDA backend needs of a device: memory, transfers and launches. Tests put an interpreter in its place."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
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
    def _clear(self, array: Any) -> None:
        """Set all bytes to 0."""

    @abstractmethod
    def _allocate(self, n_bytes: int) -> Any:
        """Return a one-dimensional array of bytes; raises DeviceMemoryError."""

    @abstractmethod
    def _release(self, buffer: Any) -> None:
        """Give a buffer back that no array holds."""

    @abstractmethod
    def _array(self, held: tuple[int, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Return an array at the beginning of a buffer held with its size, which joins ``_idle`` when the array dies."""

    @abstractmethod
    def _launch(self, kernel: Kernel, grid: Grid, arguments: Sequence[Any]) -> None:
        """Start a kernel."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a device array of any contents."""
        kind = np.dtype(dtype)
        size = max(1, -(-kind.itemsize * math.prod(shape) // ALIGNMENT)) * ALIGNMENT
        return self._array(self._idle_buffer(size) or (size, self._fresh(size)), shape, kind)

    def full(self, shape: tuple[int, ...], value: Any, dtype: Any) -> Any:
        """Return a device array of one value."""
        return self.upload(np.full(shape, value, dtype=dtype))

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return a device array of zeros."""
        array = self.empty(shape, dtype)
        self._clear(array)
        return array

    def launch(self, name: str, grid: Sequence[int], *arguments: Any) -> None:
        """Start a kernel of the table on ``grid`` blocks; scalars are cast to its signature, arrays must have its types.

        Where it takes two dimensions, three are given as ``[n_trials, rows x columns]``.
        """
        kernel = KERNELS[name]
        x, y, z = (*grid, 1, 1)[:3]
        if x and y and z:
            self._launch(kernel, (x, y, z), [make(v) for make, v in zip(_makers(name), arguments, strict=True)])

    def _idle_buffer(self, size: int) -> tuple[int, Any] | None:
        fitting = [(found, i) for i, (found, _) in enumerate(self._idle) if size <= found <= 2 * size]
        return self._idle.pop(min(fitting)[1]) if fitting else None

    def _fresh(self, size: int) -> Any:
        try:
            return self._allocate(size)
        except DeviceMemoryError:
            for _, buffer in self._idle:
                self._release(buffer)
            self._idle.clear()
            return self._allocate(size)


@cache
def _makers(name: str) -> tuple[Callable[[Any], Any], ...]:
    return tuple(_checked(kind) if hasattr(kind, "ndim") else _scalar(kind) for kind in KERNELS[name].signature)


def _scalar(kind: Any) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = np.bool_ if kind.name == "bool" else np.dtype(kind.name).type
    return found


def _checked(kind: Any) -> Callable[[Any], Any]:
    dtype = np.dtype(kind.dtype.name)

    def check(value: Any) -> Any:
        if len(value.shape) == 3 and kind.ndim == 2:
            value = value.reshape(value.shape[0], -1)
        if len(value.shape) != kind.ndim or value.dtype != dtype:
            raise TypeError(f"a kernel takes {kind}, got {len(value.shape)} dimensions of {value.dtype}")
        return value

    return check
