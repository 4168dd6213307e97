"""Atomic operations: the lanes of an instruction follow each other in the order of their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ptx.access import SCOPES, STRENGTHS, Part, defined_check, parts, race_check, synchronise
from tests.ptx.decode import Decoder, Run, builds
from tests.ptx.errors import ReadOnly
from tests.ptx.lanes import Lanes, size, spread
from tests.ptx.memory import Segment
from tests.ptx.syntax import DTYPES, Register
from tests.ptx.wave import Wave

TYPES = {
    "add": ("u32", "s32", "u64", "s64", "f32", "f64"),
    "min": ("u32", "s32", "u64", "s64"),
    "max": ("u32", "s32", "u64", "s64"),
    "and": ("b32", "b64"),
    "or": ("b32", "b64"),
    "xor": ("b32", "b64"),
    "exch": ("b32", "b64"),
    "cas": ("b32", "b64"),
    "inc": ("u32",),
    "dec": ("u32",),
}
JOINS = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}


def combine(name: str, old: Any, a: Any, b: Any) -> Any:
    """Return the new word."""
    if name in JOINS:
        return JOINS[name](old, a)
    one = old.dtype.type(1)
    if name == "inc":
        return np.where(old >= a, old.dtype.type(0), old + one)
    if name == "dec":
        return np.where((old == 0) | (old > a), a, old - one)
    return a if name == "exch" else np.where(old == a, b, old)


@builds("atom", "red")
def _atomic(d: Decoder) -> Run:
    returns = d.opcode == "atom"
    strength = d.option(*STRENGTHS) or "relaxed"
    d.option(*SCOPES)
    space = d.option("global", "shared")
    name = d.required(*TYPES)
    kind = d.kind(*TYPES[name])
    d.count(2 + returns + (name == "cas"))
    dtype, text, width = DTYPES[kind], d.text, DTYPES[kind].itemsize
    target = d.write(d.operands[0], kind) if returns else None
    silent = target is None or not (isinstance(d.operands[0], Register) and d.operands[0].index in d.read_registers)
    addresses = d.addresses(d.operands[int(returns)])
    sources = d.sources(kind, *range(1 + returns, len(d.operands)))
    d.moved = (space or "generic", "atomic", width)
    if name == "add":
        d.flops = (kind, 1) if kind[0] == "f" else None

    def run(w: Wave, lanes: Lanes) -> None:
        values = [spread(source(w, lanes), lanes) for source in sources]
        olds = np.zeros(size(lanes), dtype)
        for part in parts(w, lanes, space, addresses(w, lanes), width, text):
            if isinstance(part.piece, Segment):
                if part.piece.read_only:
                    raise w.fault(ReadOnly, f"atomic on {part.piece.name}", lanes, 0, text)
                part.piece.atomics += part.offsets.size
            race_check(w, part, "atomic", width, text, supersedes=not silent)
            if part.space == "global":
                synchronise(w, part, strength, loads=True, stores=True)
            places = part.offsets // width
            defined_check(w, part, places, width, text)
            old = update(part, places, name, [part.of(v, lanes) for v in values], dtype, silent)
            if not silent:
                olds[slice(None) if part.chosen is None else part.chosen] = old
        if target is not None and not silent:
            target(w, lanes, olds)

    return run


def update(part: Part, places: Any, name: str, values: list[Any], dtype: Any, silent: bool) -> Any:
    """Change the words at ``places`` one lane after the other; return what each lane found."""
    width = dtype.itemsize
    a, b = values[0], values[-1]
    if silent and name in JOINS and dtype.kind != "f":
        view = part.piece.words(width).view(dtype)
        JOINS[name].at(view, places, a)
        return None
    order = np.argsort(places, kind="stable")
    first = np.flatnonzero(np.diff(places[order], prepend=-1))
    turn = np.arange(places.size) - np.repeat(first, np.diff(first, append=places.size))
    olds = np.empty(places.size, dtype)
    by_turn = order[np.argsort(turn, kind="stable")]
    for lanes in np.split(by_turn, np.cumsum(np.bincount(turn))[:-1]):
        old = part.piece.load(places[lanes], width).view(dtype)
        olds[lanes] = old
        part.piece.store(places[lanes], combine(name, old, a[lanes], b[lanes]).astype(dtype).view(f"u{width}"), width)
    return olds
