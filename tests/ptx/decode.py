"""From an instruction to a function of (wave, lanes): operands are resolved once, unknown words are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.ptx.errors import UninitialisedRegister, UnsupportedInstruction
from tests.ptx.lanes import Lanes, size
from tests.ptx.syntax import (
    DTYPES,
    Address,
    Group,
    Immediate,
    Instruction,
    Negation,
    Operand,
    Register,
    Special,
    Symbol,
    immediate,
)
from tests.ptx.wave import Wave

Values = npt.NDArray[Any]
Source = Callable[[Wave, Lanes], Any]
Target = Callable[[Wave, Lanes, Any], None]
Run = Callable[[Wave, Lanes], Any]
INTEGERS = ("s16", "u16", "s32", "u32", "s64", "u64", "b16", "b32", "b64")
FLOATS = ("f32", "f64")


@dataclass(slots=True, kw_only=True)
class Step:
    """A decoded instruction; ``flops`` and ``moved`` (space, load or store, bytes) count for every lane that runs it."""

    run: Run
    text: str
    opcode: str
    function: str
    form: str = "plain"
    guard: Source | None = None
    negated: bool = False
    flops: tuple[str, int] | None = None
    moved: tuple[str, str, int] | None = None
    label: str | None = None
    approximate: str | None = None
    mask: Source | None = None
    results: list[tuple[str, str]] = field(default_factory=list)


BUILDERS: dict[str, Callable[[Decoder], Run]] = {}


def builds(*opcodes: str) -> Callable[[Callable[[Decoder], Run]], Callable[[Decoder], Run]]:
    """Register a builder of the opcodes."""

    def register(builder: Callable[[Decoder], Run]) -> Callable[[Decoder], Run]:
        BUILDERS.update(dict.fromkeys(opcodes, builder))
        return builder

    return register


@dataclass(slots=True)
class Decoder:
    """One instruction while it is decoded."""

    instruction: Instruction
    symbols: dict[str, tuple[str, int]]
    unsure: frozenset[int]
    read_registers: frozenset[int]
    callees: dict[str, tuple[list[str], list[str]]]
    form: str = "plain"
    flops: tuple[str, int] | None = None
    moved: tuple[str, str, int] | None = None
    label: str | None = None
    approximate: str | None = None
    mask: Source | None = None
    results: list[tuple[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def decode(self) -> Step:
        self.words = list(self.instruction.parts[1:])
        builder = BUILDERS.get(self.opcode)
        if builder is None:
            raise self.unsupported("opcode")
        run = builder(self)
        if self.words:
            raise self.unsupported(f"modifiers {self.words}")
        guard = self.instruction.guard
        return Step(
            run=run,
            text=self.text,
            opcode=".".join(self.instruction.parts),
            function=self.instruction.function,
            form=self.form,
            guard=None if guard is None else self.read(guard, "pred"),
            negated=self.instruction.negated,
            flops=self.flops,
            moved=self.moved,
            label=self.label,
            approximate=self.approximate,
            mask=self.mask,
            results=self.results,
        )

    @property
    def opcode(self) -> str:
        return self.instruction.parts[0]

    @property
    def text(self) -> str:
        return self.instruction.text

    @property
    def operands(self) -> tuple[Operand, ...]:
        return self.instruction.operands

    def unsupported(self, what: str) -> UnsupportedInstruction:
        return UnsupportedInstruction(f"{what} of {self.text!r} is not known")

    def kind(self, *allowed: str) -> str:
        """Take the last word, which must be one of the types."""
        if not self.words or self.words[-1] not in allowed:
            raise self.unsupported(f"type (not one of {allowed})")
        return self.words.pop()

    def option(self, *allowed: str) -> str | None:
        """Take the next word if it is one of ``allowed``."""
        return self.words.pop(0) if self.words and self.words[0] in allowed else None

    def required(self, *allowed: str) -> str:
        word = self.option(*allowed)
        if word is None:
            raise self.unsupported(f"modifier (not one of {allowed})")
        return word

    def count(self, *allowed: int) -> int:
        if len(self.operands) not in allowed:
            raise self.unsupported(f"number of operands (not one of {allowed})")
        return len(self.operands)

    def sources(self, kind: str, *numbers: int) -> list[Source]:
        return [self.read(self.operands[i], kind) for i in numbers]

    def read(self, operand: Operand, kind: str) -> Source:
        """Return the function that reads an operand as values of ``kind``."""
        if isinstance(operand, Immediate):
            value = immediate(operand.text, kind)
            return lambda wave, lanes: value
        if isinstance(operand, Symbol):
            address = self.address(operand)
            number = DTYPES[kind].type(address)
            return lambda wave, lanes: number
        if isinstance(operand, Special):
            name, dtype = operand.name, DTYPES[kind]
            if dtype.itemsize not in (4, 8):
                raise self.unsupported("special register of this type")
            return lambda wave, lanes: wave.special(name)[lanes].astype(dtype)
        if isinstance(operand, Negation) and kind == "pred":
            positive = self.read(operand.register, kind)
            return lambda wave, lanes: ~positive(wave, lanes)
        if isinstance(operand, Register):
            return self._checked(operand, self._register(operand, kind))
        raise self.unsupported(f"operand {operand}")

    def _register(self, operand: Register, kind: str) -> Source:
        index, dtype, stored = operand.index, DTYPES[kind], DTYPES[operand.kind]
        if stored == dtype:
            return lambda wave, lanes: wave.register(index)[lanes]
        if "pred" in (kind, operand.kind) or stored.itemsize < dtype.itemsize:
            raise self.unsupported(f"register {operand.name} read as {kind}")
        if stored.itemsize == dtype.itemsize:
            return lambda wave, lanes: wave.register(index)[lanes].view(dtype)
        wide, small = f"u{stored.itemsize}", f"u{dtype.itemsize}"
        return lambda wave, lanes: wave.register(index)[lanes].view(wide).astype(small).view(dtype)

    def _checked(self, operand: Register, source: Source) -> Source:
        """Let a register that may not have been written be checked at every use, except where it is only copied."""
        index, text = operand.index, self.text
        if index not in self.unsure or self.opcode == "mov":
            return source

        def checked(wave: Wave, lanes: Lanes) -> Any:
            written = wave.written.get(index)
            bad = np.ones(size(lanes), bool) if written is None else ~written[lanes]
            if bad.any():
                raise wave.fault(UninitialisedRegister, f"{operand.name} is used unwritten", lanes, int(bad.argmax()), text)
            return source(wave, lanes)

        return checked

    def write(self, operand: Operand, kind: str) -> Target:
        """Return the function that writes values of ``kind`` to a register; ``_`` takes anything."""
        if isinstance(operand, Symbol) and operand.name == "_":
            return lambda wave, lanes, values: None
        if not isinstance(operand, Register):
            raise self.unsupported(f"destination {operand}")
        index, dtype, stored = operand.index, DTYPES[kind], DTYPES[operand.kind]
        if ("pred" in (kind, operand.kind) and kind != operand.kind) or stored.itemsize < dtype.itemsize:
            raise self.unsupported(f"register {operand.name} written as {kind}")
        if stored.itemsize > dtype.itemsize and "f" in (stored.kind, dtype.kind):
            raise self.unsupported(f"register {operand.name} written as {kind}")
        wide = f"{dtype.kind}{stored.itemsize}"

        def extended(wave: Wave, lanes: Lanes, values: Any) -> None:
            wave.register(index)[lanes] = values.astype(wide).view(stored)

        def viewed(wave: Wave, lanes: Lanes, values: Any) -> None:
            wave.register(index)[lanes] = values.view(stored)

        def same(wave: Wave, lanes: Lanes, values: Any) -> None:
            wave.register(index)[lanes] = values

        plain = extended if stored.itemsize > dtype.itemsize else same if stored == dtype else viewed
        return self._noted(index, plain)

    def _noted(self, index: int, plain: Target) -> Target:
        if index not in self.unsure:
            return plain
        origin = self.operands[1] if self.opcode == "mov" and len(self.operands) == 2 else None
        source = origin.index if isinstance(origin, Register) and origin.index in self.unsure else None

        def noted(wave: Wave, lanes: Lanes, values: Any) -> None:
            plain(wave, lanes, values)
            marks = wave.written.setdefault(index, np.zeros(wave.n_lanes, bool))
            if source is None:
                marks[lanes] = True
            else:
                marks[lanes] = wave.written.setdefault(source, np.zeros(wave.n_lanes, bool))[lanes]

        return noted

    def address(self, operand: Operand) -> int:
        """Return the address of a variable in its own space."""
        if not isinstance(operand, Symbol) or operand.name not in self.symbols:
            raise self.unsupported(f"symbol {operand}")
        return self.symbols[operand.name][1]

    def addresses(self, operand: Operand) -> Callable[[Wave, Lanes], npt.NDArray[np.int64]]:
        """Return the function that computes the addresses of a memory operand, one a lane."""
        if not isinstance(operand, Address):
            raise self.unsupported(f"address {operand}")
        base, offset = operand.base, operand.offset
        if not isinstance(base, Register):
            fixed = (self.address(base) if isinstance(base, Symbol) else int(immediate(base.text, "u64"))) + offset
            return lambda wave, lanes: np.full(size(lanes), fixed, np.int64)
        wide = DTYPES[base.kind].itemsize == 8
        source = self.read(base, "s64" if wide else "u32")
        if wide:
            return lambda wave, lanes: source(wave, lanes) + np.int64(offset)
        return lambda wave, lanes: source(wave, lanes).astype(np.int64) + np.int64(offset)

    def items(self, operand: Operand) -> tuple[Operand, ...]:
        return operand.items if isinstance(operand, Group) else (operand,)
