"""Reading files that anybody may have put into a results folder: plain files of bounded size, and nothing else."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from simprune.store.errors import DamagedResults, StoreError

MOST_JSON_BYTES = 16 << 20


class NotPlain(Exception):
    """The name stands for a link, a pipe, a device, a folder; the message says so."""


def open_plain(path: Path) -> BinaryIO:
    """Open a regular file for reading; never follow a link, never wait for a pipe.

    Raises:
        NotPlain: the name stands for something else.
        OSError: the system refuses, FileNotFoundError if there is nothing.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotPlain(f"{path.name} must be a plain file, got a link to elsewhere") from error
        if error.errno in (errno.ENXIO, errno.ENODEV):
            raise NotPlain(f"{path.name} must be a plain file, got a socket or device") from error
        raise
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"
        raise NotPlain(f"{path.name} must be a plain file, got {kind}")
    return os.fdopen(descriptor, "rb")


def read_text(path: Path) -> bytes | None:
    """Return the bytes of a small file of a results folder, None if there is none; DamagedResults if it is anything else."""
    try:
        with open_plain(path) as stream:
            data = stream.read(MOST_JSON_BYTES + 1)
    except FileNotFoundError:
        return None
    except NotPlain as error:
        raise DamagedResults(f"{path.parent}: {error}; remove it") from error
    except OSError as error:
        raise StoreError(f"{path} must be readable, the system said '{error.strerror}'; mend that") from error
    if len(data) > MOST_JSON_BYTES:
        raise DamagedResults(f"{path} must hold at most {MOST_JSON_BYTES >> 20} MiB, got more; restore the file")
    return data


def sizes(path: Path) -> dict[str, int]:
    """Return the bytes of a file, or of the files in a folder and its folders by name; what vanishes is left out."""
    found = {}
    places = [path, *(entry for entry in path.iterdir() if entry.is_dir())] if path.is_dir() else []
    for entry in (entry for place in places for entry in place.iterdir()) if places else [path]:
        with suppress(FileNotFoundError):
            about = entry.lstat()
            if stat.S_ISREG(about.st_mode):
                found[str(entry.relative_to(path))] = about.st_size
    return found
