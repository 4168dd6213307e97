"""Loads, stores, fences: every access is checked for bounds, alignment, defined contents and races."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.decode import Decoder, Run, builds
from tests.ptx.errors import (
    GlobalRace,
    Misaligned,
    OutOfBounds,
    ReadOnly,
    SharedRace,
    Trap,
    UninitialisedGlobal,
    UninitialisedLocal,
    UninitialisedShared,
)
from tests.ptx.lanes import Lanes, index_of, narrow, size, spread
from tests.ptx.memory import LOCAL_WINDOW, SHARED_WINDOW, WINDOW, Piece, Segment
from tests.ptx.syntax import DTYPES, Address, Symbol
from tests.ptx.wave import Wave

Values = npt.NDArray[Any]
SPACES = ("global", "shared", "local", "const", "param")
KINDS = tuple(kind for kind in DTYPES if kind != "pred")
UNDEFINED = {"global": UninitialisedGlobal, "shared": UninitialisedShared, "local": UninitialisedLocal}
STRENGTHS = ("volatile", "relaxed", "acquire", "release", "acq_rel", "weak")
SCOPES = ("cta", "cluster", "gpu", "sys")
HINT = ("ca", "cg", "cs", "lu", "cv", "wb", "wt", "L1__evict_last", "L1__evict_first", "L1__no_allocate", "L1__evict_normal")


@dataclass(slots=True)
class Part:
    """Where some of the lanes of an access land: a piece of memory and byte offsets in it."""

    space: str
    piece: Piece
    lanes: Lanes
    chosen: Values | None
    offsets: Values

    def of(self, values: Any, lanes: Lanes) -> Any:
        """Return the values, one a lane of the whole access, of this part's lanes."""
        return values if self.chosen is None else spread(values, lanes)[self.chosen]


def parts(w: Wave, lanes: Lanes, space: str | None, addresses: Values, width: int, text: str) -> Iterator[Part]:
    """Yield the parts of an access of ``width`` bytes a lane; every address has been checked."""
    if width > 1 and (addresses & (width - 1)).any():
        bad = int(((addresses & (width - 1)) != 0).argmax())
        raise w.fault(Misaligned, f"address {int(addresses[bad]):#x} is not a multiple of {width}", lanes, bad, text)
    if space is None:
        yield from _generic(w, lanes, addresses, width, text)
    elif space in ("shared", "local"):
        limit = w.shared_size if space == "shared" else w.local_size
        outside = (addresses < 0) | (addresses > limit - width)
        if outside.any():
            bad = int(outside.argmax())
            raise w.fault(OutOfBounds, f"byte {int(addresses[bad])} of {limit} bytes of {space} memory", lanes, bad, text)
        if space == "shared":
            yield Part(space, w.shared, lanes, None, w.slot[lanes] * w.shared_stride + addresses)
        else:
            yield Part(space, w.local, lanes, None, index_of(lanes) * w.local_stride + addresses)
    else:
        for segment, chosen, offsets in w.memory.locate(addresses, width):
            if segment is None:
                place = int(chosen[0]) if chosen is not None else 0
                raise w.fault(OutOfBounds, w.memory.describe(int(addresses[place])), lanes, place, text)
            yield Part("global", segment, lanes if chosen is None else index_of(lanes)[chosen], chosen, offsets)


def _generic(w: Wave, lanes: Lanes, addresses: Values, width: int, text: str) -> Iterator[Part]:
    """Split generic addresses by the window that they lie in."""
    rest = np.ones(addresses.size, bool)
    for space, window in (("shared", SHARED_WINDOW), ("local", LOCAL_WINDOW), ("global", None)):
        inside = rest if window is None else (addresses >= window - WINDOW // 2) & (addresses < window + WINDOW)
        rest = rest & ~inside
        if inside.any():
            chosen = np.flatnonzero(inside)
            for part in parts(w, narrow(lanes, inside), space, addresses[chosen] - (window or 0), width, text):
                part.chosen = chosen if part.chosen is None else chosen[part.chosen]
                yield part


def race_check(w: Wave, part: Part, kind: str, width: int, text: str, *, supersedes: bool = False) -> None:
    """Note an access in the shadow of its memory and raise if it races."""
    shadow = part.piece.shadow
    if shadow is None or part.space == "local":
        return
    granule = w.granules[part.space]
    first = part.offsets // granule
    threads = w.threads[part.lanes]
    for j in range(max(1, width // granule)):
        place = shadow.access(kind, first + j, threads, supersedes=supersedes)
        if place is not None:
            error = SharedRace if part.space == "shared" else GlobalRace
            where = (
                f"byte {int(part.offsets[place])} of {part.piece.name}"
                if isinstance(part.piece, Segment)
                else "shared memory"
            )
            raise w.fault(error, f"{kind} of {where} conflicts with another thread's", part.lanes, int(place), text)


def defined_check(w: Wave, part: Part, places: Values, width: int, text: str) -> None:
    bad = part.piece.undefined(places, width)
    if bad is not None:
        raise w.fault(UNDEFINED[part.space], f"load of undefined {part.space} memory", part.lanes, int(bad.argmax()), text)


def _strength(d: Decoder) -> str | None:
    strength = d.option(*STRENGTHS)
    if strength not in (None, "weak", "volatile"):
        d.option(*SCOPES)
    return None if strength == "weak" else strength


def _vector(d: Decoder) -> int:
    return {"v2": 2, "v4": 4, None: 1}[d.option("v2", "v4")]


def _wants_param(d: Decoder) -> bool:
    return bool(d.words) and d.words[0].startswith("param")


@builds("ld", "ldu")
def _load(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind(*KINDS)
    strength = _strength(d)
    if _wants_param(d):
        return _load_param(d, kind)
    space = d.option(*SPACES)
    read_only = d.option("nc")
    while d.option(*HINT):
        pass
    n = _vector(d)
    dtype, text = DTYPES[kind], d.text
    width = dtype.itemsize
    addresses, targets = d.addresses(d.operands[1]), [d.write(item, kind) for item in d.items(d.operands[0])]
    if len(targets) != n:
        raise d.unsupported("vector")
    d.moved = (space or "generic", "load", width * n)

    def run(w: Wave, lanes: Lanes) -> None:
        where = addresses(w, lanes)
        results: list[Any] = [None if space else np.empty(size(lanes), dtype) for _ in range(n)]
        for part in parts(w, lanes, space, where, width * n, text):
            if read_only and part.piece.shadow is not None and "write" in part.piece.shadow.tracks:
                raise w.fault(ReadOnly, "read-only load of an array that the kernel writes", lanes, 0, text)
            race_check(w, part, "atomic" if strength else "read", width * n, text)
            count_moved(part, "load", width * n)
            first = part.offsets // width
            for j in range(n):
                defined_check(w, part, first + j, width, text)
                values = part.piece.load(first + j, width).view(dtype)
                if part.chosen is None:
                    results[j] = values
                else:
                    if results[j] is None:
                        results[j] = np.empty(size(lanes), dtype)
                    results[j][part.chosen] = values
            if strength and part.space == "global":
                synchronise(w, part, strength, loads=True, stores=False)
        for target, values in zip(targets, results, strict=True):
            target(w, lanes, values)

    return run


def count_moved(part: Part, direction: str, width: int) -> None:
    if isinstance(part.piece, Segment):
        if direction == "load":
            part.piece.loaded += width * part.offsets.size
        else:
            part.piece.stored += width * part.offsets.size


def synchronise(w: Wave, part: Part, strength: str, *, loads: bool, stores: bool) -> None:
    if not w.order.uses_fences:
        return
    threads, piece = w.threads[part.lanes], part.piece
    assert isinstance(piece, Segment)
    if strength in ("release", "acq_rel"):
        w.order.fence(threads)
    w.order.synchronise(threads, part.offsets + piece.base, loads=loads, stores=stores)
    if strength in ("acquire", "acq_rel"):
        w.order.fence(threads)


def _load_param(d: Decoder, kind: str) -> Run:
    """Load a parameter: of the kernel (one value for all lanes) or of a call (one a lane)."""
    d.words.pop(0)
    n, dtype = _vector(d), DTYPES[kind]
    name, offset = param_place(d, 1)
    targets = [d.write(item, kind) for item in d.items(d.operands[0])]
    if len(targets) != n:
        raise d.unsupported("vector")

    def run(w: Wave, lanes: Lanes) -> None:
        data = w.params[name]
        for j, target in enumerate(targets):
            start = offset + j * dtype.itemsize
            values = np.ascontiguousarray(data[..., start : start + dtype.itemsize]).view(dtype)
            target(w, lanes, values[0] if data.ndim == 1 else values[lanes, 0])

    return run


@builds("st")
def _store(d: Decoder) -> Run:
    d.count(2)
    kind = d.kind(*KINDS)
    strength = _strength(d)
    if _wants_param(d):
        return _store_param(d, kind)
    space = d.option("global", "shared", "local")
    while d.option(*HINT):
        pass
    n = _vector(d)
    dtype, text = DTYPES[kind], d.text
    width = dtype.itemsize
    addresses, sources = d.addresses(d.operands[0]), [d.read(item, kind) for item in d.items(d.operands[1])]
    if len(sources) != n:
        raise d.unsupported("vector")
    d.moved = (space or "generic", "store", width * n)

    def run(w: Wave, lanes: Lanes) -> None:
        for part in parts(w, lanes, space, addresses(w, lanes), width * n, text):
            if isinstance(part.piece, Segment) and part.piece.read_only:
                raise w.fault(ReadOnly, f"store to {part.piece.name}", lanes, 0, text)
            race_check(w, part, "atomic" if strength else "write", width * n, text)
            count_moved(part, "store", width * n)
            if strength and part.space == "global":
                synchronise(w, part, strength, loads=False, stores=True)
            for j, source in enumerate(sources):
                values = np.asarray(part.of(source(w, lanes), lanes)).view(f"u{width}")
                part.piece.store(part.offsets // width + j, values, width)

    return run


def param_place(d: Decoder, number: int) -> tuple[str, int]:
    """Return (key of the parameter, byte offset) of a parameter operand."""
    operand = d.operands[number]
    if not isinstance(operand, Address) or not isinstance(operand.base, Symbol):
        raise d.unsupported("parameter")
    return param_key(d.instruction.function, operand.base.name), operand.offset


def param_key(function: str, name: str) -> str:
    return f"{function}/{name}"


def _store_param(d: Decoder, kind: str) -> Run:
    d.words.pop(0)
    n, dtype = _vector(d), DTYPES[kind]
    name, offset = param_place(d, 0)
    sources = [d.read(item, kind) for item in d.items(d.operands[1])]
    if len(sources) != n:
        raise d.unsupported("vector")

    def run(w: Wave, lanes: Lanes) -> None:
        for j, source in enumerate(sources):
            start = offset + j * dtype.itemsize
            data = np.array(spread(source(w, lanes), lanes)).reshape(-1, 1).view(np.uint8)
            w.params[name][lanes, start : start + dtype.itemsize] = data

    return run


@builds("membar", "fence")
def _fence(d: Decoder) -> Run:
    d.option("sc", "acq_rel")
    scope = d.required("gl", "gpu", "sys", "cta")
    d.count(0)

    def run(w: Wave, lanes: Lanes) -> None:
        if scope != "cta":
            w.order.fence(w.threads[lanes])

    return run


@builds("trap")
def _trap(d: Decoder) -> Run:
    text = d.text

    def run(w: Wave, lanes: Lanes) -> None:
        raise w.fault(Trap, "trap", lanes, 0, text)

    return run
