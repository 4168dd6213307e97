"""What a launch did: bytes, operations, instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.ptx.decode import Step
from tests.ptx.memory import Segment


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
    loaded: dict[str, int]
    stored: dict[str, int]
    atomics: dict[str, int]
    flops: dict[str, int]
    approximate: dict[str, int]
    opcodes: dict[str, int]
    arrays: tuple[Traffic, ...]


def tally(steps: Sequence[Step], executed: Sequence[int], segments: Sequence[Segment]) -> Counts:
    """Return the counts of a launch in which ``executed[i]`` lanes ran step i."""
    moved: dict[str, Counter[str]] = {"load": Counter(), "store": Counter(), "atomic": Counter()}
    flops, approximate, opcodes = Counter[str](), Counter[str](), Counter[str]()
    for step, n in zip(steps, executed, strict=True):
        if not n:
            continue
        opcodes[step.opcode] += n
        if step.moved:
            space, direction, width = step.moved
            moved[direction][space] += n if direction == "atomic" else n * width
        if step.flops:
            flops[step.flops[0]] += n * step.flops[1]
        if step.approximate:
            approximate[step.approximate] += n
    return Counts(
        instructions=sum(executed),
        loaded=dict(moved["load"]),
        stored=dict(moved["store"]),
        atomics=dict(moved["atomic"]),
        flops=dict(flops),
        approximate=dict(approximate),
        opcodes=dict(opcodes),
        arrays=tuple(Traffic(loaded=s.loaded, stored=s.stored, atomics=s.atomics) for s in segments),
    )
