"""Files that appear whole or not at all: our own writes, fsync, and one directory operation that commits."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from simprune.store.errors import StoreError

TEMPORARY = ".tmp-"
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_SENTENCES = {
    errno.ENOSPC: "the disk must have room, it is full; free some space and repeat the command",
    errno.EDQUOT: "the disk quota must have room, it is used up; free some space and repeat the command",
    errno.EFBIG: "files must be allowed to grow, the size limit was hit; raise it (ulimit -f) and repeat the command",
    errno.EROFS: "the file system must be writable, it is read-only; choose another folder",
    errno.EACCES: "you must be allowed to write there, permission was denied; change the rights or choose another folder",
    errno.EPERM: "you must be allowed to write there, the system refused; change the rights or choose another folder",
    errno.EIO: "the disk must work, it reported an input/output error; check it and repeat the command",
}


def explain(error: OSError, path: Path) -> str:
    """Return one sentence on why ``path`` could not be stored.

    >>> explain(OSError(errno.ENOSPC, "No space left on device"), Path("run/x")).split(";")[0]
    'run/x could not be stored: the disk must have room, it is full'
    """
    sentence = _SENTENCES.get(
        error.errno or 0, f"the system said '{error.strerror or error}'; mend that and repeat the command"
    )
    return f"{path} could not be stored: {sentence}; what was committed before stays"


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an OSError of the body into a StoreError about ``path``."""
    try:
        yield
    except OSError as error:
        raise StoreError(explain(error, path)) from error


def write_atomic(path: Path, data: bytes, *, replace: bool = False) -> None:
    """Write ``data`` to ``path`` so that after any interruption the file is whole or absent (or the old one).

    When this returns, data and name are on the disk. Without ``replace`` an existing file is refused.

    Raises:
        StoreError: the system refused; no file was left behind.

    """
    temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}"
    with storing(path):
        try:
            _write_all(temporary, data)
            commit_file(temporary, path, replace=replace)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise


def commit_file(temporary: Path, path: Path, *, replace: bool = False) -> None:
    """Give a finished, synchronised file its name; the directory entry is on the disk when this returns."""
    if replace:
        os.rename(temporary, path)
        sync_directory(path.parent)
        return
    linked = _link(temporary, path)
    try:
        if linked:
            os.unlink(temporary)
        sync_directory(path.parent)
    except BaseException:
        # The caller will be told that nothing was stored, so nothing may stay visible.
        with suppress(OSError):
            os.unlink(path)
        raise


def sync_directory(directory: Path) -> None:
    """Put the directory's entries on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(directory: Path) -> None:
    """Delete what interrupted writes left; only the single writer may call this."""
    for entry in os.listdir(directory):
        if entry.startswith(TEMPORARY):
            os.unlink(directory / entry)


def _write_all(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: Path, path: Path) -> bool:
    """Make ``path`` a name of the file and say whether the temporary name still exists."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # File systems without hard links: the folder's lock keeps other writers out between the two calls.
        if path.exists():
            raise FileExistsError(errno.EEXIST, "File exists", str(path)) from error
        os.rename(temporary, path)
        return False
    return True
