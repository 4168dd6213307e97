"""A module laid out for execution: one list of steps, addresses of all variables, registers that may be read unwritten."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import tests.ptx.arithmetic
import tests.ptx.atomics
import tests.ptx.bits
import tests.ptx.control
import tests.ptx.conversion
import tests.ptx.selection  # noqa: F401  (these modules register the instructions)
from tests.ptx.access import param_key
from tests.ptx.decode import Decoder, Step
from tests.ptx.errors import UnsupportedInstruction
from tests.ptx.memory import FIRST_ADDRESS, SPACING, rounded
from tests.ptx.syntax import Address, Function, Group, Instruction, Module, Negation, Operand, Register, Symbol, Variable

GRANULE = 8


@dataclass(slots=True)
class Program:
    """``tables`` become the first global segments; ``params`` are the sizes of the parameters of calls."""

    module: Module
    steps: list[Step] = field(default_factory=list)
    starts: dict[str, int] = field(default_factory=dict)
    targets: dict[int, int] = field(default_factory=dict)
    tables: list[Variable] = field(default_factory=list)
    params: dict[str, int] = field(default_factory=dict)
    granule: dict[str, int] = field(default_factory=lambda: {"global": GRANULE, "shared": GRANULE, "local": 1})
    shared_size: int = 0
    local_size: int = 0
    uses_fences: bool = False

    @property
    def entries(self) -> list[str]:
        return [f.name for f in self.module.functions.values() if f.is_entry]

    @property
    def registers(self) -> list[Register]:
        return self.module.registers


def build(module: Module) -> Program:
    """Lay the module out and decode every instruction of it."""
    program = Program(module)
    symbols = _place_variables(program)
    callees = {f.name: ([p.name for p in f.params], [r.name for r in f.results]) for f in module.functions.values()}
    for function in sorted(module.functions.values(), key=lambda f: f.is_entry):
        start = len(program.steps)
        program.starts[function.name] = start
        own = {**symbols, **_place_own(program, function)}
        unsure = _unsure(function)
        read = frozenset(r.index for i in function.code for r in _reads(i))
        if not function.code or function.code[-1].parts[0] not in ("ret", "exit", "bra"):
            raise UnsupportedInstruction(f"{function.name} does not end with a return")
        for instruction in function.code:
            step = Decoder(instruction, own, unsure, read, callees).decode()
            if step.form == "branch":
                program.targets[len(program.steps)] = start + _label(function, step)
            program.steps.append(step)
            _note_granule(program, step)
            program.uses_fences |= instruction.parts[0] in ("membar", "fence") or bool(
                {"acquire", "release", "acq_rel"} & set(instruction.parts)
            )
    for pc, step in enumerate(program.steps):
        if step.form == "call":
            program.targets[pc] = program.starts[step.label or ""]
    return program


def _label(function: Function, step: Step) -> int:
    if step.label not in function.labels:
        raise UnsupportedInstruction(f"label {step.label} of {step.text!r}")
    return function.labels[step.label]


def _note_granule(program: Program, step: Step) -> None:
    """Races are watched in words as small as the smallest access."""
    if step.moved:
        space, _, width = step.moved
        for name in ("global", "shared") if space == "generic" else (space,):
            if name in program.granule:
                program.granule[name] = min(program.granule[name], width)


def _place_variables(program: Program) -> dict[str, tuple[str, int]]:
    symbols: dict[str, tuple[str, int]] = {}
    dynamic = []
    for variable in program.module.variables.values():
        if variable.space == "shared" and variable.size == 0:
            dynamic.append(variable)
        elif variable.space == "shared":
            symbols[variable.name] = ("shared", _reserve(program, variable))
        else:
            symbols[variable.name] = (variable.space, FIRST_ADDRESS + SPACING * len(program.tables))
            program.tables.append(variable)
    for function in program.module.functions.values():
        for variable in function.variables.values():
            if variable.space == "shared":
                symbols[variable.name] = ("shared", _reserve(program, variable))
    if dynamic:
        program.shared_size = rounded(program.shared_size, max(16, *(v.align for v in dynamic)))
        symbols |= {variable.name: ("shared", program.shared_size) for variable in dynamic}
    return symbols


def _reserve(program: Program, variable: Variable) -> int:
    start = rounded(program.shared_size, variable.align)
    program.shared_size = start + variable.size
    return start


def _place_own(program: Program, function: Function) -> dict[str, tuple[str, int]]:
    """Place the local variables and parameters of a function; recursion is not supported, so each has one place."""
    own = {}
    for variable in function.variables.values():
        if variable.space == "local":
            start = rounded(program.local_size, variable.align)
            program.local_size = start + variable.size
            own[variable.name] = ("local", start)
        elif variable.space == "param":
            key = param_key(function.name, variable.name)
            program.params[key] = max(variable.size, program.params.get(key, 0))
    if not function.is_entry:
        for variable in (*function.params, *function.results):
            program.params[param_key(function.name, variable.name)] = variable.size
    return own


def _registers(operand: Operand) -> list[Register]:
    if isinstance(operand, Register):
        return [operand]
    if isinstance(operand, Negation):
        return [operand.register]
    if isinstance(operand, Address):
        return _registers(operand.base)
    return [r for item in operand.items for r in _registers(item)] if isinstance(operand, Group) else []


WITHOUT_TARGET = {"st", "red", "bra", "ret", "exit", "bar", "barrier", "membar", "fence", "call", "trap", "nanosleep"}


def _has_target(instruction: Instruction) -> bool:
    name = instruction.parts[0]
    return name not in WITHOUT_TARGET or (name in ("bar", "barrier") and "red" in instruction.parts)


def _writes(instruction: Instruction) -> list[Register]:
    return _registers(instruction.operands[0]) if _has_target(instruction) else []


def _reads(instruction: Instruction) -> list[Register]:
    read = [r for operand in instruction.operands[int(_has_target(instruction)) :] for r in _registers(operand)]
    return [*read, instruction.guard] if instruction.guard else read


def _unsure(function: Function) -> frozenset[int]:
    """Return the registers that some path may read before it writes them (definite assignment, over basic blocks)."""
    code = function.code
    heads = sorted(
        {0, *function.labels.values()} | {i + 1 for i, c in enumerate(code) if c.parts[0] in ("bra", "ret", "exit")}
    )
    heads = [h for h in heads if h < len(code)]
    ends = dict(zip(heads, [*heads[1:], len(code)], strict=True))
    always = {h: {r.index for c in code[h : ends[h]] if not c.guard for r in _writes(c)} for h in heads}
    before: dict[int, set[int]] = {0: set()}
    work = [0]
    while work:
        head = work.pop()
        after = before[head] | always[head]
        for follower in _followers(function, ends[head]):
            known = before.get(follower)
            new = after if known is None else known & after
            if known is None or new != known:
                before[follower] = set(new)
                work.append(follower)
    unsure = set()
    for head, known in before.items():
        written = set(known)
        for c in code[head : ends[head]]:
            unsure |= {r.index for r in _reads(c)} - written
            if not c.guard:
                written |= {r.index for r in _writes(c)}
    return frozenset(unsure)


def _followers(function: Function, end: int) -> list[int]:
    last = function.code[end - 1]
    name = last.parts[0]
    followers = []
    if name == "bra" and isinstance(last.operands[0], Symbol):
        followers.append(function.labels.get(last.operands[0].name, end))
    if name not in ("bra", "ret", "exit") or last.guard:
        followers.append(end)
    return [f for f in followers if f < len(function.code)]


def table_bytes(variable: Variable) -> np.ndarray:
    """Return the initial contents of a table of the module."""
    data = variable.data if variable.data is not None else bytes(variable.size)
    return np.frombuffer(data, np.uint8).copy()
