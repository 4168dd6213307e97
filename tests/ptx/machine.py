"""Runs a kernel: lanes of many blocks in step, lowest program counter first, which brings divergent lanes together again."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.control import copy_params
from tests.ptx.decode import Step
from tests.ptx.errors import BadLaunch, DivergentBarrier, ExitedAtBarrier, Stuck, UnsupportedInstruction, WrongWarpMask
from tests.ptx.lanes import Lanes, compact, index_of, narrow, size, spread, union
from tests.ptx.memory import GlobalMemory, Segment
from tests.ptx.order import Order
from tests.ptx.program import Program, build, table_bytes
from tests.ptx.syntax import DTYPES, Function, parse
from tests.ptx.wave import WARP, Shape, Wave

RESIDENT = 16384
TURN = 256
FAIR = 4096
PARKED = -1
Grid = int | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Bytes loaded and stored, and atomic operations, on one array."""

    loaded: int
    stored: int
    atomics: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a launch did, summed over its threads.

    ``loaded`` and ``stored``: bytes by memory space; ``atomics``: operations by space; ``flops`` by type (fma: 2);
    ``approximate``: uses of operations that the device evaluates inexactly and the interpreter exactly; ``opcodes``:
    executed instructions by opcode; ``arrays``: one entry an array argument, in order.
    """

    instructions: int
    steps: int
    loaded: dict[str, int]
    stored: dict[str, int]
    atomics: dict[str, int]
    flops: dict[str, int]
    approximate: dict[str, int]
    opcodes: dict[str, int]
    arrays: tuple[Traffic, ...]


class Machine:
    """The kernels of one PTX module, checked and decoded.

    Raises ``UnsupportedInstruction`` here, before anything runs, for every word of the module that is not known.
    """

    def __init__(self, ptx: str, *, resident: int = RESIDENT, step_limit: int = 5_000_000) -> None:
        self.program = build(parse(ptx))
        self.resident, self.step_limit = resident, step_limit

    @property
    def entries(self) -> list[str]:
        return self.program.entries

    def launch(
        self,
        entry: str | None,
        grid: Grid,
        block: Grid,
        args: Sequence[Any],
        *,
        shared_bytes: int = 0,
        undefined: Sequence[int] = (),
        backwards: bool = False,
    ) -> Counts:
        """Run a kernel to its end and return what it did; arrays are changed in place.

        ``entry`` may be part of the mangled name, or None where there is one kernel. ``args``: NumPy arrays (C-contiguous),
        scalars and tuples of both, as Numba passes them. ``undefined``: numbers of the arguments whose contents must not
        be loaded before they are stored. ``backwards``: run the blocks in reverse order. ``shared_bytes``: size of the
        dynamic shared memory.
        """
        function = self._entry(entry)
        shape = Shape(_three(grid), _three(block), shared_bytes)
        if not (1 <= shape.n_threads <= 1024 and shape.n_blocks >= 1):
            raise BadLaunch(f"a block must have 1 to 1024 threads and a grid a block, got {block} and {grid}")
        memory = GlobalMemory()
        for table in self.program.tables:
            memory.add(table.name, table_bytes(table), read_only=table.space == "const")
        params, segments = bind(function, args, memory, undefined)
        order = Order(shape.n_blocks, shape.stride, self.program.uses_fences)
        memory.watch(self.program.granule["global"], order)
        run = _Run(self.program, self.program.starts[function.name], order, self.step_limit)
        blocks = np.arange(shape.n_blocks)[:: -1 if backwards else 1]
        at_once = max(1, self.resident // shape.stride)
        with np.errstate(all="ignore"):
            for first in range(0, shape.n_blocks, at_once):
                wave = Wave(
                    shape=shape, blocks=blocks[first : first + at_once], layout=self.program, memory=memory, order=order
                )
                wave.params |= params
                run.wave(wave)
        return run.counts(segments)

    def _entry(self, name: str | None) -> Function:
        found = [e for e in self.entries if name is None or e == name] or [e for e in self.entries if str(name) in e]
        if len(found) != 1:
            raise BadLaunch(f"the entry must name one kernel of {self.entries}, got {name!r}")
        return self.program.module.functions[found[0]]


def _three(sizes: Grid) -> tuple[int, int, int]:
    sizes = (sizes,) if isinstance(sizes, int | np.integer) else tuple(sizes)
    x, y, z = (*(int(s) for s in sizes), 1, 1, 1)[:3]
    return x, y, z


def bind(
    function: Function, args: Sequence[Any], memory: GlobalMemory, undefined: Sequence[int]
) -> tuple[dict[str, npt.NDArray[np.uint8]], list[Segment]]:
    """Return the kernel's parameters as Numba passes the arguments, and the segments of the arrays.

    An array is meminfo, parent, number of items, size of an item, data pointer, shape and strides (in bytes).
    """
    values: list[Any] = []
    segments: list[Segment] = []
    for i, arg in enumerate(args):
        for item in _flat(arg):
            if not isinstance(item, np.ndarray):
                values.append(item)
                continue
            if not item.flags.c_contiguous:
                raise BadLaunch(f"argument {i} must be C-contiguous, got strides {item.strides}")
            data = item.reshape(-1).view(np.uint8)
            segments.append(memory.add(f"argument {i}", data, read_only=not item.flags.writeable, undefined=i in undefined))
            values += [0, 0, item.size, item.itemsize, segments[-1].base, *item.shape, *item.strides]
    if len(values) != len(function.params):
        raise BadLaunch(f"the kernel has {len(function.params)} parameters, the arguments make {len(values)}")
    params = {}
    for param, value in zip(function.params, values, strict=True):
        params[f"{function.name}/{param.name}"] = _scalar_bytes(value, DTYPES[param.kind], param.name)
    return params, segments


def _flat(arg: Any) -> list[Any]:
    return [item for part in arg for item in _flat(part)] if isinstance(arg, tuple) else [arg]


def _scalar_bytes(value: Any, dtype: np.dtype[Any], name: str) -> npt.NDArray[np.uint8]:
    """Return the bytes of a scalar; an integer may be signed, since the kernel's parameters do not say."""
    number = np.asarray(value)
    if dtype.kind == "f":
        fits = number.dtype.kind in "iuf"
        stored = number.astype(dtype) if fits else number
    else:
        whole = number.dtype.kind in "iub"
        low = int(number) if whole else 0
        fits = whole and -(1 << (8 * dtype.itemsize - 1)) <= low < 1 << 8 * dtype.itemsize
        stored = np.array(low & ((1 << 8 * dtype.itemsize) - 1), dtype)
    if not fits:
        raise BadLaunch(f"parameter {name[-24:]} of type {dtype} got {value!r}")
    return stored.reshape(1).view(np.uint8)


class _Run:
    """One launch: the scheduler and the tallies."""

    def __init__(self, program: Program, start: int, order: Order, step_limit: int) -> None:
        self.program, self.steps, self.start = program, program.steps, start
        self.order, self.step_limit = order, step_limit
        self.executed = [0] * len(self.steps)

    def counts(self, segments: list[Segment]) -> Counts:
        moved: dict[str, dict[str, int]] = {"load": {}, "store": {}, "atomic": {}}
        flops: dict[str, int] = {}
        approximate: dict[str, int] = {}
        opcodes: dict[str, int] = {}
        for step, n in zip(self.steps, self.executed, strict=True):
            if not n:
                continue
            if step.moved:
                space, direction, width = step.moved
                tally = moved[direction]
                tally[space] = tally.get(space, 0) + n * (1 if direction == "atomic" else width)
            if step.flops:
                flops[step.flops[0]] = flops.get(step.flops[0], 0) + n * step.flops[1]
            if step.approximate:
                approximate[step.approximate] = approximate.get(step.approximate, 0) + n
            opcodes[step.opcode] = opcodes.get(step.opcode, 0) + n
        return Counts(
            instructions=sum(self.executed),
            steps=self.order.step,
            loaded=moved["load"],
            stored=moved["store"],
            atomics=moved["atomic"],
            flops=flops,
            approximate=approximate,
            opcodes=opcodes,
            arrays=tuple(Traffic(loaded=s.loaded, stored=s.stored, atomics=s.atomics) for s in segments),
        )

    def wave(self, wave: Wave) -> None:
        """Run all lanes of the wave to their end."""
        self.w = wave
        for name, length in self.program.params.items():
            wave.params[name] = np.zeros((wave.n_lanes, length), np.uint8)
        self.parked = np.full(wave.n_lanes, PARKED, np.int64)
        self.ready: dict[int, list[Lanes]] = {}
        self.heap: list[int] = []
        self.waiting: dict[int, Lanes] = {}
        self._push(self.start, compact(np.flatnonzero(wave.exists)))
        fair = self.order.step
        while self.heap or self._wake():
            if self.order.step > self.step_limit:
                pc = self.heap[0]
                raise wave.fault(Stuck, f"more than {self.step_limit} steps", self.ready[pc][0], 0, self.steps[pc].text)
            if self.order.step - fair > FAIR:
                fair = self.order.step
                pc = self.heap.pop(self.heap.index(max(self.heap)))
                heapq.heapify(self.heap)
                self._advance(pc, union(self.ready.pop(pc)), len(self.steps))
            else:
                pc = heapq.heappop(self.heap)
                self._advance(pc, union(self.ready.pop(pc)), self.heap[0] if self.heap else len(self.steps))

    def _push(self, pc: int, lanes: Lanes) -> None:
        if not size(lanes):
            return
        if pc not in self.ready:
            self.ready[pc] = []
            heapq.heappush(self.heap, pc)
        self.ready[pc].append(lanes)

    def _advance(self, pc: int, lanes: Lanes, limit: int) -> None:
        """Run lanes from ``pc`` until they part, wait, end or come to ``limit``, where others stand."""
        w, steps, executed, order = self.w, self.steps, self.executed, self.order
        for _ in range(TURN):
            if pc >= limit:
                break
            step = steps[pc]
            order.step += 1
            active = lanes
            if step.guard is not None:
                active = narrow(lanes, spread(step.guard(w, lanes), lanes) ^ step.negated)
            n = size(active)
            executed[pc] += n
            if step.form == "plain":
                if n:
                    step.run(w, active)
                pc += 1
            elif step.form == "branch" and n in (0, size(lanes)):
                pc = self.program.targets[pc] if n else pc + 1
            else:
                self._part(pc, step, lanes, active)
                return
        self._push(pc, lanes)

    def _part(self, pc: int, step: Step, lanes: Lanes, active: Lanes) -> None:
        """Let the ``active`` lanes branch, call, return or wait; the others go on."""
        if size(active) < size(lanes):
            self._push(pc + 1, compact(np.setdiff1d(index_of(lanes), index_of(active), assume_unique=True)))
            if not size(active):
                return
        if step.form == "branch":
            self._push(self.program.targets[pc], active)
        elif step.form == "call":
            step.run(self.w, active)
            self.w.return_to.setdefault(step.label or "", np.zeros(self.w.n_lanes, np.int64))[active] = pc
            self._push(self.program.targets[pc], active)
        elif step.form == "return" and step.function not in self.program.entries:
            self._return(step, active)
        elif step.form in ("return", "exit"):
            self.w.alive[active] = False
        elif step.form == "barrier":
            self._arrive(pc, active)
        elif step.form == "warp":
            self._meet(pc, step, union([active, self.waiting.pop(pc)]) if pc in self.waiting else active)
        else:
            raise UnsupportedInstruction(f"form {step.form} of {step.text!r}")

    def _return(self, step: Step, lanes: Lanes) -> None:
        origins = self.w.return_to[step.function][lanes]
        for origin in np.unique(origins):
            group = narrow(lanes, origins == origin)
            copy_params(self.w, group, self.steps[origin].results)
            self._push(int(origin) + 1, group)

    def _arrive(self, pc: int, lanes: Lanes) -> None:
        """Park the lanes at a barrier; let the blocks go whose living lanes are all parked."""
        w = self.w
        self.parked[lanes] = pc
        slots = np.unique(w.slot[lanes])
        table, alive = self.parked.reshape(-1, w.stride)[slots], w.alive.reshape(-1, w.stride)[slots]
        whole = slots[((table != PARKED) | ~alive).all(axis=1)]
        if whole.size:
            self._release(whole)

    def _release(self, slots: npt.NDArray[np.int64]) -> None:
        w = self.w
        for slot in slots.tolist():
            lanes = slice(slot * w.stride, (slot + 1) * w.stride)
            places = np.unique(self.parked[lanes][w.alive[lanes]])
            text = " and ".join(f"{self.steps[p].text!r} (instruction {p})" for p in places)
            first = int(np.flatnonzero(w.alive[lanes])[0])
            if places.size > 1:
                raise w.fault(DivergentBarrier, "threads of the block wait at different barriers", lanes, first, text)
            if not w.alive[lanes][w.exists[lanes]].all():
                raise w.fault(ExitedAtBarrier, "threads of the block have returned before a barrier", lanes, first, text)
        chosen = compact(np.flatnonzero(np.isin(w.slot, slots) & w.alive))
        self.order.barrier(w.blocks[slots], w.threads[chosen])
        places = self.parked[chosen].copy()
        self.parked[chosen] = PARKED
        for pc in np.unique(places):
            group = narrow(chosen, places == pc)
            self.steps[pc].run(w, group)
            self._push(int(pc) + 1, group)

    def _meet(self, pc: int, step: Step, lanes: Lanes, *, last: bool = False) -> None:
        """Run a warp operation for the lanes whose mask names only lanes that have come; the others wait."""
        w = self.w
        assert step.mask is not None
        masks = spread(step.mask(w, lanes), lanes)
        index = index_of(lanes)
        warp, bit = index // WARP, np.uint32(1) << (index % WARP).astype(np.uint32)
        come, dead = w.bits(lanes), w.exists_bits() & ~w.alive_bits()
        if (masks & bit == 0).any():
            raise w.fault(
                WrongWarpMask, "the lane is not in its own mask", lanes, int((masks & bit == 0).argmax()), step.text
            )
        missing = masks & w.exists_bits()[warp] & ~come[warp]
        wrong = missing if last else missing & dead[warp]
        if wrong.any():
            place = int((wrong != 0).argmax())
            what = f"mask {masks[place]:#x} names lanes {wrong[place]:#x}, which do not come"
            raise w.fault(WrongWarpMask, what, lanes, place, step.text)
        self._check_agreement(step, lanes, masks)
        going = narrow(lanes, missing == 0)
        if size(going) < index.size:
            self.waiting[pc] = narrow(lanes, missing != 0)
        if size(going):
            step.run(w, going)
            self._push(pc + 1, going)

    def _check_agreement(self, step: Step, lanes: Lanes, masks: npt.NDArray[np.uint32]) -> None:
        """The lanes that one mask names must all have the same mask."""
        if (masks == masks[0]).all():
            return
        index = index_of(lanes)
        table = np.zeros(self.w.n_lanes, np.uint32)
        table[index] = masks
        differ = np.zeros(index.size, bool)
        for lane in range(WARP):
            other = table[index // WARP * WARP + lane]
            differ |= ((masks >> np.uint32(lane)) & np.uint32(1) == 1) & (other != 0) & (other != masks)
        if differ.any():
            raise self.w.fault(
                WrongWarpMask, "lanes of one mask give different masks", lanes, int(differ.argmax()), step.text
            )

    def _wake(self) -> bool:
        """Nothing is ready: report whoever waits for ever; return whether anything goes on."""
        for pc, lanes in list(self.waiting.items()):
            del self.waiting[pc]
            self._meet(pc, self.steps[pc], lanes, last=True)
        stuck = np.flatnonzero(self.parked != PARKED)
        if not self.heap and stuck.size:
            self._release(np.unique(self.w.slot[stuck]))
        return bool(self.heap)
