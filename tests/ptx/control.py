"""Branches, calls, barriers and what the lanes of a warp tell each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.access import param_key
from tests.ptx.decode import Decoder, Run, builds
from tests.ptx.errors import InactiveLane
from tests.ptx.lanes import Lanes, index_of, spread
from tests.ptx.syntax import DTYPES, Group, Immediate, Symbol
from tests.ptx.wave import WARP, Wave

Values = npt.NDArray[Any]
FULL = np.uint32(0xFFFFFFFF)


def nothing(w: Wave, lanes: Lanes) -> None:
    """Do nothing: the machine itself acts on the form of the step."""


@builds("bra")
def _branch(d: Decoder) -> Run:
    d.option("uni")
    d.count(1)
    (target,) = d.operands
    if not isinstance(target, Symbol):
        raise d.unsupported("target")
    d.form, d.label = "branch", target.name
    return nothing


@builds("ret", "exit")
def _return(d: Decoder) -> Run:
    d.option("uni")
    d.count(0)
    d.form = "return" if d.opcode == "ret" else "exit"
    return nothing


@builds("call")
def _call(d: Decoder) -> Run:
    """Copy the arguments to the callee's parameters; the machine goes there, and copies the results on return."""
    d.option("uni")
    results = d.operands[0].items if isinstance(d.operands[0], Group) else ()
    rest = d.operands[1:] if isinstance(d.operands[0], Group) else d.operands
    callee, arguments = rest[0], rest[1].items if len(rest) > 1 and isinstance(rest[1], Group) else ()
    if not isinstance(callee, Symbol) or callee.name not in d.callees:
        raise d.unsupported("callee")
    params, returned = d.callees[callee.name]
    if len(params) != len(arguments) or len(returned) != len(results):
        raise d.unsupported("number of arguments")
    here, there = d.instruction.function, callee.name
    pairs = [
        (param_key(here, a.name), param_key(there, p))
        for a, p in zip(arguments, params, strict=True)
        if isinstance(a, Symbol)
    ]
    d.form, d.label = "call", there
    d.results = [
        (param_key(there, p), param_key(here, r.name))
        for r, p in zip(results, returned, strict=True)
        if isinstance(r, Symbol)
    ]

    def run(w: Wave, lanes: Lanes) -> None:
        copy_params(w, lanes, pairs)

    return run


def copy_params(w: Wave, lanes: Lanes, pairs: list[tuple[str, str]]) -> None:
    for source, target in pairs:
        n = min(w.params[source].shape[1], w.params[target].shape[1])
        w.params[target][lanes, :n] = w.params[source][lanes, :n]


@builds("bar", "barrier")
def _barrier(d: Decoder) -> Run:
    if d.option("warp"):
        return _warp_barrier(d)
    d.option("cta")
    if d.option("red"):
        return _barrier_with_result(d)
    d.required("sync")
    d.option("aligned")
    d.count(1)
    _first_barrier(d, 0)
    d.form = "barrier"
    return nothing


def _first_barrier(d: Decoder, number: int) -> None:
    operand = d.operands[number]
    if not isinstance(operand, Immediate) or operand.text != "0":
        raise d.unsupported("barrier other than 0")


def _barrier_with_result(d: Decoder) -> Run:
    """Build a barrier that combines a predicate of all threads of the block."""
    name = d.required("popc", "and", "or")
    d.option("aligned")
    kind = d.kind("u32" if name == "popc" else "pred")
    d.count(3)
    _first_barrier(d, 1)
    source, target = d.read(d.operands[2], "pred"), d.write(d.operands[0], kind)
    d.form = "barrier"

    def run(w: Wave, lanes: Lanes) -> None:
        n = w.blocks.size
        counts = np.bincount(w.slot[lanes], weights=spread(source(w, lanes), lanes), minlength=n).astype(np.int64)
        total = np.bincount(w.slot[lanes], minlength=n)
        result = {"popc": counts, "and": counts == total, "or": counts > 0}[name]
        target(w, lanes, result[w.slot[lanes]].astype(DTYPES[kind]))

    return run


def _warp_barrier(d: Decoder) -> Run:
    d.required("sync")
    d.count(1)
    d.form, d.mask = "warp", d.read(d.operands[0], "u32")
    mask = d.mask

    def run(w: Wave, lanes: Lanes) -> None:
        masks = w.by_warp(spread(mask(w, lanes), lanes), lanes)
        warps = np.unique(index_of(lanes) // WARP)
        whole = warps[(w.alive_bits()[warps] & ~masks[warps]) == 0]
        w.order.warp_barrier(w.threads[whole * WARP] // WARP)

    return run


@builds("activemask")
def _active(d: Decoder) -> Run:
    d.count(1)
    target = d.write(d.operands[0], d.kind("b32"))
    return lambda w, m: target(w, m, w.bits(m)[index_of(m) // WARP])


@builds("vote")
def _vote(d: Decoder) -> Run:
    d.required("sync")
    name = d.required("ballot", "any", "all", "uni")
    kind = d.kind("b32" if name == "ballot" else "pred")
    d.count(3)
    source, mask, target = d.read(d.operands[1], "pred"), d.read(d.operands[2], "u32"), d.write(d.operands[0], kind)
    d.form, d.mask = "warp", mask

    def run(w: Wave, lanes: Lanes) -> None:
        index = index_of(lanes)
        members = spread(mask(w, lanes), lanes)
        yes = w.bits(index[spread(source(w, lanes), lanes)])[index // WARP] & members
        all_ = members & w.exists_bits()[index // WARP]
        result = {"ballot": yes, "any": yes != 0, "all": yes == all_, "uni": (yes == 0) | (yes == all_)}[name]
        target(w, lanes, result)

    return run


@builds("shfl")
def _shuffle(d: Decoder) -> Run:
    d.required("sync")
    mode = d.required("up", "down", "bfly", "idx")
    d.kind("b32")
    d.count(5)
    items = d.items(d.operands[0])
    target = d.write(items[0], "b32")
    valid = d.write(items[1], "pred") if len(items) == 2 else None
    source = d.read(d.operands[1], "b32")
    b, c, mask = d.sources("u32", 2, 3, 4)
    d.form, d.mask = "warp", mask
    text = d.text

    def run(w: Wave, lanes: Lanes) -> None:
        index = index_of(lanes)
        lane = index % WARP
        by, limit = spread(b(w, lanes), lanes).astype(np.int64) & 31, spread(c(w, lanes), lanes).astype(np.int64)
        clamp, segment = limit & 31, (limit >> 8) & 31
        top = (lane & segment) | (clamp & ~segment)
        if mode == "up":
            other, good = lane - by, lane - by >= top
        elif mode == "down":
            other, good = lane + by, lane + by <= top
        else:
            other = lane ^ by if mode == "bfly" else (lane & segment) | (by & ~segment)
            good = other <= top
        other = np.where(good, other, lane)
        members = spread(mask(w, lanes), lanes)
        here = w.bits(lanes)[index // WARP] & members
        absent = (here >> other.astype(np.uint32)) & np.uint32(1) == 0
        if absent.any():
            place = int(absent.argmax())
            raise w.fault(InactiveLane, f"shuffle from lane {int(other[place])}, which is not there", lanes, place, text)
        table = np.zeros(w.n_lanes, np.uint32)
        table[lanes] = source(w, lanes)
        target(w, lanes, table[index - lane + other])
        if valid is not None:
            valid(w, lanes, good)

    return run


@builds("match")
def _match(d: Decoder) -> Run:
    name = d.required("any", "all")
    d.required("sync")
    kind = d.kind("b32", "b64")
    d.count(3)
    items = d.items(d.operands[0])
    target, valid = d.write(items[0], "b32"), d.write(items[1], "pred") if len(items) == 2 else None
    source, mask = d.read(d.operands[1], kind), d.read(d.operands[2], "u32")
    d.form, d.mask = "warp", mask

    def run(w: Wave, lanes: Lanes) -> None:
        index = index_of(lanes)
        table = np.zeros(w.n_lanes, DTYPES[kind])
        table[lanes] = source(w, lanes)
        table = table.reshape(-1, WARP)
        members = spread(mask(w, lanes), lanes)
        same = pack(table[:, :, None] == table[:, None, :]).reshape(-1)[index] & members & w.bits(lanes)[index // WARP]
        if name == "all":
            agree = same == members & w.exists_bits()[index // WARP]
            same = np.where(agree, same, np.uint32(0))
            if valid is not None:
                valid(w, lanes, agree)
        target(w, lanes, same)

    return run


def pack(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """Return the 32 flags of the last axis as bits of one word."""
    return np.packbits(flags, axis=-1, bitorder="little").view(np.uint32)[..., 0]
