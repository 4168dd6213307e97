"""Files of networks: checked before they are read, written whole or not at all."""

import contextlib
import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError


def checked_file(path: str | Path, *, most_bytes: int | None = None) -> Path:
    """Return the path of a file that exists, is no folder and has at most ``most_bytes``; InputError otherwise."""
    path = Path(path)
    if "\0" in str(path):
        raise InputError(f"a path must hold no zero byte, got {str(path)!r}; check it")
    if path.is_dir():
        raise InputError(f"a network must be a file, got the folder {path}; name the file")
    if not path.exists():
        raise InputError(f"the network file must exist, got {path}; check the path")
    if not path.is_file():
        raise InputError(f"a network must be a regular file, got {path}; name one")
    if most_bytes is not None and path.stat().st_size > most_bytes:
        raise InputError(f"{path} must have at most {most_bytes >> 20} MiB, got more; take a smaller network")
    return path


def mapped_bytes(path: Path) -> npt.NDArray[np.uint8]:
    """Return the bytes of a file as a read-only view: pages are read when they are used."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return np.zeros(0, dtype=np.uint8)
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)


def write_whole(path: str | Path, *parts: Any) -> None:
    """Write the parts (bytes or contiguous arrays) one after the other; the file appears at once or not at all."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
