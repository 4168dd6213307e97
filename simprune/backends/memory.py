"""Keeps freed memory in the process, so that the arrays of the next micro-batch need no new pages."""

import ctypes
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20
MOST_KEPT = 512 << 20


@cache
def keep_freed_memory() -> None:
    """Ask the GNU C library to keep freed arrays up to 32 MiB, at most 512 MiB in all; elsewhere do nothing.

    By default arrays of some hundred KiB go back to the kernel when freed, and the page faults of their successors cost
    up to five times the computation on them (depth 3, d = 512). No number depends on it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
    mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
