"""The state of the blocks that run at the same time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.errors import PtxError
from tests.ptx.lanes import Lanes, index_of
from tests.ptx.memory import GlobalMemory, arena, rounded
from tests.ptx.order import Order, Shadow
from tests.ptx.syntax import DTYPES, Register

Values = npt.NDArray[Any]
WARP = 32


class Wave:
    """Lanes of whole blocks, padded to whole warps; lane = slot * stride + thread of the block."""

    def __init__(
        self, *, shape: Shape, blocks: npt.NDArray[np.int64], layout: Any, memory: GlobalMemory, order: Order
    ) -> None:
        self.shape, self.blocks, self.memory, self.order = shape, blocks, memory, order
        self.granules = layout.granule
        self.stride = shape.stride
        self.n_lanes = blocks.size * self.stride
        self.slot = np.repeat(np.arange(blocks.size), self.stride)
        self.tid = np.tile(np.arange(self.stride), blocks.size)
        self.threads = blocks[self.slot] * self.stride + self.tid
        self.exists = self.tid < shape.n_threads
        self.alive = self.exists.copy()
        self._exists_bits = _words(self.exists)
        self.registers: list[Any] = [None] * len(layout.registers)
        self._kinds: list[Register] = layout.registers
        self.carry = np.zeros(self.n_lanes, np.bool_)
        self.written: dict[int, npt.NDArray[np.bool_]] = {}
        self.params: dict[str, npt.NDArray[np.uint8]] = {}
        self.return_to: dict[str, npt.NDArray[np.int64]] = {}
        self.shared_size = layout.shared_size + shape.shared_bytes
        self.shared_stride = rounded(self.shared_size)
        self.shared = arena(blocks.size, self.shared_stride)
        self.shared.shadow = Shadow(blocks.size * self.shared_stride // layout.granule["shared"], order)
        self.local_size, self.local_stride = layout.local_size, rounded(layout.local_size)
        self.local = arena(self.n_lanes, self.local_stride)
        self._special: dict[str, Values] = {}

    def register(self, index: int) -> Values:
        values = self.registers[index]
        if values is None:
            values = self.registers[index] = np.zeros(self.n_lanes, DTYPES[self._kinds[index].kind])
        return values

    def special(self, name: str) -> Values:
        """Return a special register, one uint32 a lane."""
        if name not in self._special:
            self._special[name] = self._compute(name).astype(np.uint32)
        return self._special[name]

    def _compute(self, name: str) -> Values:
        stem, _, axis = name.partition(".")
        a = "xyz".find(axis)
        lane = self.tid % WARP
        if stem in ("%ntid", "%nctaid"):
            return np.full(self.n_lanes, (self.shape.block if stem == "%ntid" else self.shape.grid)[a])
        if stem in ("%tid", "%ctaid"):
            values, sizes = (self.tid, self.shape.block) if stem == "%tid" else (self.blocks[self.slot], self.shape.grid)
            return values // int(np.prod(sizes[:a])) % sizes[a]
        one = np.int64(1) << lane
        masks = {"eq": one, "lt": one - 1, "le": 2 * one - 1, "gt": 0xFFFFFFFF - (2 * one - 1), "ge": 0xFFFFFFFF - (one - 1)}
        if stem.startswith("%lanemask_"):
            return masks[stem[-2:]]
        if stem == "%dynamic_smem_size":
            return np.full(self.n_lanes, self.shape.shared_bytes)
        return {"%laneid": lane, "%warpid": self.tid // WARP}[stem]

    def bits(self, lanes: Lanes) -> npt.NDArray[np.uint32]:
        """Return one word a warp whose bits are its lanes among ``lanes``."""
        flags = np.zeros(self.n_lanes, np.bool_)
        flags[lanes] = True
        return _words(flags)

    def exists_bits(self) -> npt.NDArray[np.uint32]:
        return self._exists_bits

    def alive_bits(self) -> npt.NDArray[np.uint32]:
        return _words(self.alive)

    def by_warp(self, values: Values, lanes: Lanes) -> Values:
        """Return one of the lanes' values for every warp."""
        table = np.zeros(self.n_lanes // WARP, values.dtype)
        table[index_of(lanes) // WARP] = values
        return table

    def fault(self, kind: type[PtxError], message: str, lanes: Lanes, place: int, text: str) -> PtxError:
        """Return the error of the lane at ``place``."""
        lane = int(index_of(lanes)[place])
        thread = tuple(int(self.special(f"%tid.{axis}")[lane]) for axis in "xyz")
        block = tuple(int(self.special(f"%ctaid.{axis}")[lane]) for axis in "xyz")
        return kind(f"{message}: block {block}, thread {thread}, at {text!r}")


def _words(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    return np.packbits(flags.reshape(-1, WARP), axis=1, bitorder="little").view(np.uint32)[:, 0]


class Shape:
    """Grid and block of a launch."""

    def __init__(self, grid: tuple[int, int, int], block: tuple[int, int, int], shared_bytes: int) -> None:
        self.grid, self.block, self.shared_bytes = grid, block, shared_bytes
        self.n_blocks, self.n_threads = int(np.prod(grid)), int(np.prod(block))
        self.stride = rounded(self.n_threads, WARP)
