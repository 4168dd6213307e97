"""One writer a folder: an advisory lock that dies with its process."""

import fcntl
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from simprune.store.errors import StoreError
from simprune.store.files import storing


class WriterLock:
    """An exclusive ``flock`` on a file that says who holds it."""

    def __init__(self, path: Path) -> None:
        with storing(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with storing(path):
                _sign(self._descriptor)
        except BlockingIOError as error:
            holder = _holder(self._descriptor)
            self.release()
            raise StoreError(
                f"results folder {path.parent} must have one writer, but {holder} is writing to it; "
                "wait for it to end or choose another folder"
            ) from error
        except OSError as error:
            self.release()
            raise StoreError(
                f"results folder {path.parent} must be on a file system with file locks, the system said "
                f"'{error.strerror}'; choose a folder on another file system"
            ) from error
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let the next writer in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _sign(descriptor: int) -> None:
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {holder['pid']} on {holder['host']} (since {holder['since']})"
    except (ValueError, KeyError, TypeError, OSError):
        return "another process"
