"""Which lanes run next: those with the lowest program counter, which brings divergent lanes together again."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from tests.ptx.control import copy_params
from tests.ptx.decode import Step
from tests.ptx.errors import DivergentBarrier, ExitedAtBarrier, Stuck, UnsupportedInstruction, WrongWarpMask
from tests.ptx.lanes import Lanes, compact, index_of, narrow, size, spread, union
from tests.ptx.program import Program
from tests.ptx.wave import WARP, Wave

TURN = 256
FAIR = 4096
PARKED = -1


class Scheduler:
    """Runs one wave; ``executed`` counts the lanes that ran each step, over all waves of a launch."""

    def __init__(self, program: Program, wave: Wave, executed: list[int], step_limit: int) -> None:
        self.program, self.steps, self.w, self.order = program, program.steps, wave, wave.order
        self.executed, self.step_limit = executed, step_limit
        self.parked = np.full(wave.n_lanes, PARKED, np.int64)
        self.ready: dict[int, list[Lanes]] = {}
        self.heap: list[int] = []
        self.waiting: dict[int, Lanes] = {}
        for name, length in program.params.items():
            wave.params[name] = np.zeros((wave.n_lanes, length), np.uint8)

    def run(self, start: int) -> None:
        """Run all lanes of the wave from the step ``start`` to their end."""
        self._push(start, compact(np.flatnonzero(self.w.exists)))
        fair = self.order.step
        while self.heap or self._wake():
            if self.order.step > self.step_limit:
                pc = self.heap[0]
                raise self.w.fault(Stuck, f"more than {self.step_limit} steps", self.ready[pc][0], 0, self.steps[pc].text)
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
