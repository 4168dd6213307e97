"""Stopping a run cleanly from Ctrl-C, SIGTERM or another thread."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self


class StopRequest:
    """A wish to stop; the run looks at it between blocks."""

    def __init__(self) -> None:
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._requested

    def request(self) -> None:
        """Ask the run to stop; may be called from any thread."""
        self._requested = True

    @contextmanager
    def on_signals(self) -> Iterator[Self]:
        """Let SIGINT and SIGTERM request the stop; a second signal raises KeyboardInterrupt at once.

        Outside the main thread Python allows no handlers, and a SIGINT that is ignored (nohup) stays ignored.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        signals = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not signal.SIG_IGN]
        previous = [(s, signal.signal(s, self._handle)) for s in signals]
        try:
            yield self
        finally:
            for number, handler in previous:
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._requested = True
