"""Preload of the worker processes: Ctrl-C in a terminal reaches them too, but only the run itself may stop them."""

import signal


def dask_setup(worker: object) -> None:
    """Ignore SIGINT in a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
