"""A segment: parts of several points in one small HDF5 file that never changes after it has its name.

The file starts with a header of 512 bytes (an HDF5 user block) with length and CRC-32 of everything behind it, so that
damage is found before the HDF5 library sees it. Each part is a group: attributes ``point`` (digest), ``first``,
``stop``, ``crc32`` (JSON: CRC-32 of the raw bytes of every column) and ``info`` (JSON); one dataset a column.
"""

import errno
import json
import os
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from simprune.design.point import Point
from simprune.records import Column, TrialBatch, column_shape, columns_of
from simprune.store.allow import Refused, admit_dataset, admit_file
from simprune.store.errors import CorruptSegment, StoreError
from simprune.store.plain import NotPlain, open_plain
from simprune.store.schema import PART, write_attributes

HEADER_BYTES = 512
CHUNK_BYTES = 1 << 20
LIBVER = ("v110", "v110")
_NOT_ITS_FAULT = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_HEADER = re.compile(rb"simprune segment 1 crc32=([0-9a-f]{8}) length=([0-9]{12})\n\0*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEntry:
    """Where the trials ``first .. stop - 1`` of a point lie: a group of a segment."""

    group: str
    digest: str
    first: int
    stop: int


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return a chunk of at most 1 MiB, as many whole rows as fit.

    >>> chunk_shape((10**6,), 8), chunk_shape((10, 3), 8), chunk_shape((10, 10**6), 8)
    ((131072,), (10, 3), (1, 131072))
    """
    row = tuple(min(n, CHUNK_BYTES // itemsize) for n in shape[1:])
    rows = CHUNK_BYTES // (itemsize * int(np.prod(row, dtype=np.int64)))
    return (max(1, min(shape[0], rows)), *row)


def checksum(column: Column, start: int = 0) -> int:
    """Return the CRC-32 of the raw bytes of a column, continued from ``start``."""
    return zlib.crc32(np.ascontiguousarray(column).data, start)


def encode(batches: Sequence[TrialBatch]) -> bytes:
    """Return the bytes of a segment; built in memory, because HDF5 crashes or loses rows on a full disk."""
    name = uuid.uuid4().hex
    with h5py.File(name, "w", driver="core", backing_store=False, block_size=CHUNK_BYTES, libver=LIBVER) as file:
        for i, batch in enumerate(batches):
            _write_part(file.create_group(f"part-{i:06d}"), batch)
        file.flush()
        image: bytes = file.id.get_file_image()
    return _header(zlib.crc32(image), len(image)) + image


def read_entries(path: Path, *, foreign: bool = False) -> tuple[PartEntry, ...]:
    """Verify the checksum of a whole segment and return its parts.

    ``foreign`` holds its structure against the list of what is allowed too: the checksum shows damage, not intent.

    Raises:
        CorruptSegment: the file is not as it was committed.
        FileNotFoundError: there is no such file.

    """
    with _reading(path):
        with open_plain(path) as stream:
            size = _check_image(stream, path.name)
        with h5py.File(path, "r", locking=False) as file:
            if foreign:
                admit_file(file, size)
            return tuple(_entry(name, file[name]) for name in file)


def read_columns(path: Path, entry: PartEntry, point: Point, *, names: Sequence[str]) -> dict[str, Column]:
    """Return columns of one part, each verified by its own checksum; other columns are not read.

    Raises:
        CorruptSegment: the file is gone or not as it was committed.

    """
    try:
        with _reading(path), h5py.File(path, "r", locking=False) as file:
            group = file[entry.group]
            if _entry(entry.group, group) != entry:
                raise CorruptSegment(f"{path.name} holds another part under {entry.group}")
            checksums = json.loads(group.attrs["crc32"])
            return {name: _read_column(group, name, entry, point, checksums) for name in names}
    except FileNotFoundError as error:
        raise CorruptSegment(f"{path.name} has vanished") from error


def read_info(path: Path, entry: PartEntry) -> Mapping[str, Any]:
    """Return what a part tells beside its rows: seconds taken, host."""
    with _reading(path), h5py.File(path, "r", locking=False) as file:
        info: dict[str, Any] = json.loads(file[entry.group].attrs["info"])
        return info


def _header(crc: int, length: int) -> bytes:
    return f"simprune segment 1 crc32={crc:08x} length={length:012d}\n".encode().ljust(HEADER_BYTES, b"\0")


def _write_part(group: h5py.Group, batch: TrialBatch) -> None:
    checksums = {}
    for spec in columns_of(batch.point):
        data = np.ascontiguousarray(batch.columns[spec.name], dtype=spec.dtype)
        group.create_dataset(spec.name, data=data, chunks=chunk_shape(data.shape, data.itemsize), fletcher32=True)
        checksums[spec.name] = checksum(data)
    told = {
        "point": batch.point.digest(),
        "first": batch.first,
        "stop": batch.stop,
        "crc32": json.dumps(checksums),
        "info": json.dumps(dict(batch.info), default=_plain),
    }
    write_attributes(group, PART, told)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (CorruptSegment, FileNotFoundError):
        raise
    except OSError as error:
        if error.errno in _NOT_ITS_FAULT:
            raise StoreError(f"{path} must be readable, the system said '{os.strerror(error.errno)}'; mend that") from error
        raise CorruptSegment(f"{path.name} cannot be read ({error})") from error
    except (NotPlain, Refused) as error:
        raise CorruptSegment(f"{path.name}: {error}") from error
    except Exception as error:  # h5py raises nearly every type on a damaged file
        raise CorruptSegment(f"{path.name} cannot be read ({type(error).__name__}: {error})") from error


def _check_image(stream: BinaryIO, name: str) -> int:
    """Compare the whole file with its header; return its size in bytes."""
    header = stream.read(HEADER_BYTES)
    match = _HEADER.fullmatch(header)
    if match is None or len(header) != HEADER_BYTES:
        raise CorruptSegment(f"{name} does not start with the header of a segment of format 1")
    expected, length = int(match[1], 16), int(match[2])
    actual_length = os.fstat(stream.fileno()).st_size - HEADER_BYTES
    if actual_length != length:
        raise CorruptSegment(f"{name} holds {actual_length} bytes where {length} were committed")
    crc = 0
    while chunk := stream.read(CHUNK_BYTES):
        crc = zlib.crc32(chunk, crc)
    if crc != expected:
        raise CorruptSegment(f"{name} has checksum {crc:08x} where {expected:08x} was committed")
    return HEADER_BYTES + length


def _entry(name: str, group: h5py.Group) -> PartEntry:
    first, stop = int(group.attrs["first"]), int(group.attrs["stop"])
    if not 0 <= first < stop:
        raise CorruptSegment(f"{name} claims the trials {first}..{stop}")
    return PartEntry(group=name, digest=str(group.attrs["point"]), first=first, stop=stop)


def _read_column(group: h5py.Group, name: str, entry: PartEntry, point: Point, checksums: Mapping[str, int]) -> Column:
    spec = next(s for s in columns_of(point) if s.name == name)
    dataset = group[name]
    admit_dataset(dataset.id, name, dataset.file.id.get_filesize())
    shape = column_shape(spec, point, entry.stop - entry.first)
    if dataset.shape != shape or dataset.dtype != np.dtype(spec.dtype):
        raise CorruptSegment(f"column {name} is {dataset.dtype} {dataset.shape} where {spec.dtype} {shape} was committed")
    column: Column = dataset[()]
    if checksum(column) != checksums[name]:
        raise CorruptSegment(f"column {name} does not match its checksum")
    return column
