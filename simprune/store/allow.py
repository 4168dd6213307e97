"""What an HDF5 file may contain: plain local data of bounded size, and nothing that reaches other files."""

import math
from typing import Any

import h5py

FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
NUMBERS = frozenset({h5py.h5t.INTEGER, h5py.h5t.FLOAT})
LABELS = NUMBERS | {h5py.h5t.STRING, h5py.h5t.VLEN, h5py.h5t.COMPOUND, h5py.h5t.REFERENCE}
MAX_CHUNK_BYTES = 64 << 20
MAX_OBJECTS = 1_000_000
MAX_DEPTH = 4
MAX_RANK = 4
MAX_EXPANSION = 64
SMALL_BYTES = 64 << 20
MAX_ATTRIBUTES = 256
MAX_ATTRIBUTE_BYTES = 1 << 20


class Refused(Exception):
    """The file contains something that is not on the list."""


def admit_file(file: h5py.File, size: int) -> None:
    """Refuse links other than hard ones, cycles, foreign storage, odd types and filters, and inflated sizes.

    ``size`` is the size of the file in bytes: all data together may be 64 times as large, no more.
    """
    budget = max(SMALL_BYTES, MAX_EXPANSION * size)
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[h5py.h5g.GroupID, int]] = [(file["/"].id, 0)]
    _admit_attributes(file["/"].id, "/")
    while stack:
        group, depth = stack.pop()
        for name in group:
            where = name.decode(errors="replace")
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                raise Refused(f"'{where}' is a link to elsewhere")
            item = h5py.h5o.open(group, name)
            info = h5py.h5o.get_info(item)
            if (info.fileno, info.addr) in seen or len(seen) >= MAX_OBJECTS or depth >= MAX_DEPTH:
                raise Refused(f"'{where}' is linked twice, too deep or one object too many")
            seen.add((info.fileno, info.addr))
            _admit_attributes(item, where)
            if isinstance(item, h5py.h5g.GroupID):
                stack.append((item, depth + 1))
            elif isinstance(item, h5py.h5d.DatasetID):
                budget -= admit_dataset(item, where, size)
                if budget < 0:
                    raise Refused("the declared sizes exceed 64 times the size of the file")
            else:
                raise Refused(f"'{where}' is neither group nor dataset")


def admit_dataset(dataset: h5py.h5d.DatasetID, where: str, size: int) -> int:
    """Refuse a dataset that is virtual, external, of an odd type or filter; return its logical size in bytes.

    ``where`` is its name, ``size`` the size of the file in bytes.
    """
    plan, kind, space = dataset.get_create_plist(), dataset.get_type(), dataset.get_space()
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise Refused(f"'{where}' is stored in another file")
    if kind.get_class() not in NUMBERS:
        raise Refused(f"'{where}' holds no numbers")
    if space.get_simple_extent_ndims() > MAX_RANK:
        raise Refused(f"'{where}' has more than {MAX_RANK} axes")
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if not filters <= FILTERS:
        raise Refused(f"'{where}' uses the filters {sorted(filters - FILTERS)}")
    n_bytes = int(space.get_simple_extent_npoints()) * int(kind.get_size())
    if layout == h5py.h5d.CHUNKED:
        chunk_bytes = math.prod(plan.get_chunk()) * kind.get_size()
        if chunk_bytes > MAX_CHUNK_BYTES:
            raise Refused(f"'{where}' has chunks of more than 64 MiB")
        _admit_chunks(dataset, where, size, chunk_bytes)
    if h5py.h5z.FILTER_DEFLATE not in filters and layout != h5py.h5d.COMPACT and dataset.get_storage_size() < n_bytes:
        raise Refused(f"'{where}' declares more rows than it stores")
    return n_bytes


def _admit_chunks(dataset: h5py.h5d.DatasetID, where: str, size: int, chunk_bytes: int) -> None:
    """Walk the whole index of the chunks: each lies inside the file, filtered as all are, and grew only a little."""
    wrong: list[Any] = []

    def look(chunk: Any) -> bool | None:
        inside = chunk.byte_offset >= 0 and chunk.byte_offset + chunk.size <= size
        if not inside or chunk.filter_mask or chunk.size > 2 * chunk_bytes + 64:
            wrong.append(chunk)
            return True
        return None

    dataset.chunk_iter(look)
    if wrong:
        raise Refused(f"'{where}' has chunks outside the file or stored in another way than it says")


def _admit_attributes(item: Any, where: str) -> None:
    n_attributes = h5py.h5a.get_num_attrs(item)
    if n_attributes > MAX_ATTRIBUTES:
        raise Refused(f"'{where}' has {n_attributes} attributes, more than {MAX_ATTRIBUTES}")
    for index in range(n_attributes):
        attribute = h5py.h5a.open(item, index=index)
        kind = attribute.get_type()
        n_bytes = attribute.get_space().get_simple_extent_npoints() * kind.get_size()
        if kind.get_class() not in LABELS or n_bytes > MAX_ATTRIBUTE_BYTES:
            raise Refused(f"'{where}' has an attribute of an odd type or of more than 1 MiB")
