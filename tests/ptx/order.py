"""What happens before what: barriers of a block and of a warp, and fences with atomics between blocks.

An access carries the step at which it ran. A thread sees, in order, everything of its block up to the block's last barrier,
of its warp up to the last ``bar.warp.sync`` of all its lanes, and of another block what that block released to it: a
fence, then an atomic, on one side; an atomic on the same word that comes later, then a fence, on the other; barriers of
either block may stand between (as in "the last block to finish sums up"). Plain loads and stores order nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
NONE = -1


class Knowledge:
    """What is known of every block: all its threads up to a step, and one of its threads up to a later one."""

    def __init__(self, n_blocks: int) -> None:
        self.all_until = np.full(n_blocks, NONE, np.int64)
        self.thread = np.full(n_blocks, NONE, np.int64)
        self.thread_until = np.full(n_blocks, NONE, np.int64)

    def join(self, other: Knowledge) -> None:
        np.maximum(self.all_until, other.all_until, out=self.all_until)
        later = other.thread_until > self.thread_until
        self.thread[later] = other.thread[later]
        self.thread_until[later] = other.thread_until[later]

    def covers(self, blocks: Ints, who: Ints, when: Ints) -> npt.NDArray[np.bool_]:
        return (when <= self.all_until[blocks]) | ((who == self.thread[blocks]) & (when <= self.thread_until[blocks]))


class Order:
    """Threads numbered with padding to whole warps; codes beyond them name a warp, a block or several blocks."""

    def __init__(self, n_blocks: int, stride: int, uses_fences: bool) -> None:
        n_threads, n_warps = n_blocks * stride, n_blocks * stride // 32
        self.n_blocks, self.uses_fences = n_blocks, uses_fences
        self.several = n_threads + n_warps + n_blocks
        self.first_warp, self.first_block = n_threads, n_threads + n_warps
        warps, blocks = np.arange(n_warps), np.arange(n_blocks)
        self.warp_of = np.concatenate([np.repeat(warps, 32), warps, np.full(n_blocks + 1, NONE)])
        self.block_of = np.concatenate([np.repeat(blocks, stride), np.repeat(blocks, stride // 32), blocks, [NONE]])
        self.barrier_step = np.full(n_blocks, NONE, np.int64)
        self.warp_step = np.full(n_warps, NONE, np.int64)
        self.step = 0
        self.fence_step = np.full(n_threads, NONE, np.int64)
        self.fence_barrier = np.full(n_threads, NONE, np.int64)
        self.flushed = np.full(n_blocks, NONE, np.int64)
        self.block_known: dict[int, Knowledge] = {}
        self.thread_known: dict[int, Knowledge] = {}
        self.block_pending: dict[int, Knowledge] = {}
        self.thread_pending: dict[int, Knowledge] = {}
        self.released: dict[int, Knowledge] = {}

    def join(self, a: Ints, b: Ints) -> Ints:
        """Return the narrowest code that covers both codes."""
        same_warp = (self.warp_of[a] == self.warp_of[b]) & (self.warp_of[a] >= 0)
        same_block = (self.block_of[a] == self.block_of[b]) & (self.block_of[a] >= 0)
        wide = np.where(same_block, self.first_block + self.block_of[a], self.several)
        return np.where(a == b, a, np.where(same_warp, self.first_warp + self.warp_of[a], wide))

    def unordered(self, who: Ints, when: Ints, threads: Ints, track: Track | None = None) -> npt.NDArray[np.bool_]:
        """Return where the earlier access of ``who`` at step ``when`` does not happen before one by ``threads`` now.

        Without the ``track`` of the accesses, what fences order counts as unordered.
        """
        warp, block = self.warp_of[threads], self.block_of[threads]
        warp_ok = (self.warp_of[who] == warp) & (when <= self.warp_step[warp])
        other = self.block_of[who] != block
        bad = ~(warp_ok | (~other & (when <= self.barrier_step[block])))
        if track is not None and self.uses_fences:
            for i in np.flatnonzero(bad & other):
                bad[i] = not self._knows(int(threads[i]), int(block[i]), int(who[i]), int(when[i]), track)
        return bad

    def _knows(self, thread: int, block: int, who: int, when: int, track: Track) -> bool:
        known = [k for k in (self.block_known.get(block), self.thread_known.get(thread)) if k is not None]
        if who != self.several:
            blocks, codes, steps = (np.array([v]) for v in (self.block_of[who], who, when))
        else:
            blocks = np.flatnonzero(track.blocks_who >= 0)
            codes, steps = track.blocks_who[blocks], track.blocks_when[blocks]
        own = (blocks == block) & ((codes == thread) | (steps <= self.barrier_step[block]))
        for k in known:
            own = own | k.covers(blocks, codes, steps)
        return bool(own.all())

    def barrier(self, blocks: Ints, threads: Ints) -> None:
        """All ``threads`` of the ``blocks`` stand at a barrier."""
        self.barrier_step[blocks] = self.step
        if not self.uses_fences:
            return
        for block in blocks.tolist():
            mine = threads[self.block_of[threads] == block]
            self.flushed[block] = max(self.flushed[block], self.fence_step[mine].min())
            for table, target in ((self.thread_known, self.block_known), (self.thread_pending, self.block_pending)):
                for thread in [t for t in table if self.block_of[t] == block]:
                    target.setdefault(block, Knowledge(self.n_blocks)).join(table.pop(thread))

    def warp_barrier(self, warps: Ints) -> None:
        self.warp_step[warps] = self.step

    def fence(self, threads: Ints) -> None:
        """The threads execute a fence of the whole device."""
        self.fence_step[threads] = self.step
        self.fence_barrier[threads] = self.barrier_step[self.block_of[threads]]
        if self.thread_pending or self.block_pending:
            for thread in threads.tolist():
                sources = [self.thread_pending.pop(thread, None), self.block_pending.get(int(self.block_of[thread]))]
                for source in sources:
                    if source is not None:
                        self.thread_known.setdefault(thread, Knowledge(self.n_blocks)).join(source)

    def synchronise(self, threads: Ints, addresses: Ints, *, loads: bool = True, stores: bool = True) -> None:
        """The threads, in this order, execute strong accesses of global words: loads acquire, stores release."""
        ready = (self.fence_step[threads] >= 0) | (self.flushed[self.block_of[threads]] >= 0)
        if not self.released and not ready.any():
            return
        touched = ready | np.isin(addresses, np.fromiter(self.released, np.int64, len(self.released)))
        for i in np.flatnonzero(touched):
            thread, address, block = int(threads[i]), int(addresses[i]), int(self.block_of[threads[i]])
            if loads and address in self.released:
                self.thread_pending.setdefault(thread, Knowledge(self.n_blocks)).join(self.released[address])
            if stores and not loads:
                self.released.pop(address, None)
            if stores and ready[i]:
                self._release(thread, block, self.released.setdefault(address, Knowledge(self.n_blocks)))

    def _release(self, thread: int, block: int, target: Knowledge) -> None:
        until = max(self.fence_barrier[thread], self.flushed[block])
        target.all_until[block] = max(target.all_until[block], until)
        if self.fence_step[thread] > target.thread_until[block]:
            target.thread[block], target.thread_until[block] = thread, self.fence_step[thread]
        for known in (self.block_known.get(block), self.thread_known.get(thread)):
            if known is not None:
                target.join(known)


class Track:
    """The latest accesses of one kind to every granule: by whom (a code) and when."""

    def __init__(self, n_granules: int, order: Order) -> None:
        self.order = order
        self.who = np.full(n_granules, NONE, np.int32)
        self.when = np.full(n_granules, NONE, np.int64)
        self.blocks_who = np.full(order.n_blocks, NONE, np.int64)
        self.blocks_when = np.full(order.n_blocks, NONE, np.int64)

    def conflict(self, index: Ints, threads: Ints) -> Any:
        """Return the place of an access that conflicts with an earlier one of this kind, or None."""
        who = self.who[index]
        places = np.flatnonzero((who != NONE) & (who != threads))
        if places.size:
            who = who[places].astype(np.int64)
            bad = self.order.unordered(who, self.when[index[places]], threads[places], self)
            if bad.any():
                return places[bad.argmax()]
        return None

    def record(self, index: Ints, threads: Ints, supersedes: bool) -> npt.NDArray[np.bool_]:
        """Note the accesses; return where several lanes meet in one granule (all but one of them)."""
        if supersedes:
            self.who[index], self.when[index] = threads, self.order.step
            twice = np.zeros(index.size, np.bool_)
        else:
            twice = self._note(self.who, self.when, index, threads)
        if self.order.uses_fences:
            self._note(self.blocks_who, self.blocks_when, self.order.block_of[threads], threads)
        return twice

    def _note(self, who: Any, when: Any, index: Ints, threads: Ints) -> npt.NDArray[np.bool_]:
        before = who[index].astype(np.int64)
        new = threads
        old = np.flatnonzero((before != NONE) & (before != threads))
        if old.size:
            open_ = old[self.order.unordered(before[old], when[index[old]], threads[old])]
            new = threads.copy()
            new[open_] = self.order.join(before[open_], threads[open_])
        who[index] = new
        when[index] = self.order.step
        winner = who[index].astype(np.int64)
        twice = winner != new
        if twice.any():
            np.maximum.at(who, index[twice], self.order.join(winner[twice], new[twice]).astype(who.dtype))
        return twice


class Shadow:
    """Races in one piece of memory: the last writes, reads and atomics of every granule."""

    def __init__(self, n_granules: int, order: Order) -> None:
        self.n_granules, self.order = n_granules, order
        self.tracks: dict[str, Track] = {}

    def access(self, kind: str, index: Ints, threads: Ints, *, supersedes: bool = False) -> Any:
        """Note accesses of ``kind`` (read, write or atomic); return the place of a racing one, or None.

        An atomic whose result is used ``supersedes`` all earlier ones on its word: who comes after it comes after them.
        """
        for other, track in self.tracks.items():
            if (kind, other) not in {("read", "read"), ("atomic", "atomic")}:
                place = track.conflict(index, threads)
                if place is not None:
                    return place
        track = self.tracks.get(kind)
        if track is None:
            track = self.tracks[kind] = Track(self.n_granules, self.order)
        twice = track.record(index, threads, supersedes)
        return twice.argmax() if kind == "write" and twice.any() else None
