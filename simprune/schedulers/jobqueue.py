"""The one door to dask-jobqueue, which takes Ctrl-C for itself when it is imported."""

import importlib
import signal
import threading
from typing import Any

from simprune.model.errors import InputError


def jobqueue_class(name: str) -> Any:
    """Return a class of ``dask_jobqueue.slurm``; who handled SIGINT before still does."""
    if threading.current_thread() is not threading.main_thread():
        raise InputError("SLURM must be asked for workers by the main thread, got another; call simprune.run there")
    handler = signal.getsignal(signal.SIGINT)
    try:
        return getattr(importlib.import_module("dask_jobqueue.slurm"), name)
    except ImportError:
        raise InputError("SLURM needs the package dask-jobqueue, it is not installed; install simprune[hpc]") from None
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
