"""Room for padded images, kept by each thread for its next one, on huge pages where the system grants them.

A tile reads a padded image at as many places as a filter has weights, each on a page of its own: with small pages the
processor's table of translations overflows, and products take 1.4 times as long.
"""

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

HUGE_PAGE = 1 << 21
_own = threading.local()


def scratch(size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return ``size`` numbers of this thread's room, of any value; the next call gives the same place."""
    n_bytes = size * np.dtype(dtype).itemsize
    kept: npt.NDArray[np.uint8] | None = getattr(_own, "kept", None)
    if kept is None or kept.size < n_bytes:
        kept = _own.kept = _whole_pages(n_bytes)
    return kept[:n_bytes].view(dtype)


def _whole_pages(n_bytes: int) -> npt.NDArray[np.uint8]:
    """Return room that begins and ends at huge pages; NumPy asks the system for such pages from 4 MiB on."""
    room = np.empty(-(-n_bytes // HUGE_PAGE) * HUGE_PAGE + HUGE_PAGE, dtype=np.uint8)
    start = -room.ctypes.data % HUGE_PAGE
    return room[start : room.size - HUGE_PAGE + start]
