"""What a foreign HDF5 file may contain: plain local data of bounded size, and nothing that reaches other files."""

import math

import h5py

FILTERS = frozenset({h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32})
CLASSES = frozenset({h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING})
MAX_CHUNK_BYTES = 64 << 20
MAX_OBJECTS = 1_000_000
MAX_DEPTH = 4
MAX_EXPANSION = 64
SMALL_BYTES = 64 << 20


class Refused(Exception):
    """The file contains something that is not on the list."""


def admit_file(file: h5py.File, size: int) -> None:
    """Refuse links other than hard ones, cycles, foreign storage, odd types and filters, and inflated sizes.

    ``size`` is the size of the file in bytes: all data together may be 64 times as large, no more.
    """
    budget = max(SMALL_BYTES, MAX_EXPANSION * size)
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[h5py.h5g.GroupID, int]] = [(file["/"].id, 0)]
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
            if isinstance(item, h5py.h5g.GroupID):
                stack.append((item, depth + 1))
            elif isinstance(item, h5py.h5d.DatasetID):
                budget -= admit_dataset(h5py.Dataset(item))
                if budget < 0:
                    raise Refused("the declared sizes exceed 64 times the size of the file")
            else:
                raise Refused(f"'{where}' is neither group nor dataset")


def admit_dataset(dataset: h5py.Dataset) -> int:
    """Refuse a dataset that is virtual, external, of an odd type or filter; return its logical size in bytes."""
    where = dataset.name
    plan = dataset.id.get_create_plist()
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise Refused(f"'{where}' is stored in another file")
    kind = dataset.id.get_type()
    if kind.get_class() not in CLASSES:
        raise Refused(f"'{where}' is neither number nor text")
    filters = {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}
    if not filters <= FILTERS:
        raise Refused(f"'{where}' uses the filters {sorted(filters - FILTERS)}")
    if layout == h5py.h5d.CHUNKED and math.prod(plan.get_chunk()) * kind.get_size() > MAX_CHUNK_BYTES:
        raise Refused(f"'{where}' has chunks of more than 64 MiB")
    n_bytes = int(dataset.id.get_space().get_simple_extent_npoints()) * int(kind.get_size())
    if h5py.h5z.FILTER_DEFLATE not in filters and layout != h5py.h5d.COMPACT and dataset.id.get_storage_size() < n_bytes:
        raise Refused(f"'{where}' declares more rows than it stores")
    return n_bytes
