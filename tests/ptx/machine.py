"""The interpreter: ``Machine(ptx).launch(...)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.ptx.arguments import bind
from tests.ptx.counts import Counts, tally
from tests.ptx.errors import BadLaunch
from tests.ptx.memory import GlobalMemory
from tests.ptx.order import Order
from tests.ptx.program import build, table_bytes
from tests.ptx.scheduler import Scheduler
from tests.ptx.syntax import Function, parse
from tests.ptx.wave import Shape, Wave

RESIDENT = 16384
Grid = int | tuple[int, ...]


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
        executed = [0] * len(self.program.steps)
        blocks = np.arange(shape.n_blocks)[:: -1 if backwards else 1]
        at_once = max(1, self.resident // shape.stride)
        with np.errstate(all="ignore"):
            for first in range(0, shape.n_blocks, at_once):
                wave = Wave(
                    shape=shape, blocks=blocks[first : first + at_once], layout=self.program, memory=memory, order=order
                )
                wave.params |= params
                Scheduler(self.program, wave, executed, self.step_limit).run(self.program.starts[function.name])
        return tally(self.program.steps, executed, segments)

    def _entry(self, name: str | None) -> Function:
        found = [e for e in self.entries if name is None or e == name] or [e for e in self.entries if str(name) in e]
        if len(found) != 1:
            raise BadLaunch(f"the entry must name one kernel of {self.entries}, got {name!r}")
        return self.program.module.functions[found[0]]


def _three(sizes: Grid) -> tuple[int, int, int]:
    sizes = (sizes,) if isinstance(sizes, int | np.integer) else tuple(sizes)
    x, y, z = (*(int(s) for s in sizes), 1, 1, 1)[:3]
    return x, y, z
