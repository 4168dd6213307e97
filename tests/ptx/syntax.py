"""PTX text as data: functions, instructions, operands, variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from tests.ptx.errors import UnsupportedInstruction

DTYPES = {
    **{
        f"{sign}{bits}": np.dtype(f"{code}{bits // 8}")
        for sign, code in (("s", "i"), ("u", "u"), ("b", "u"))
        for bits in (8, 16, 32, 64)
    },
    "f32": np.dtype("f4"),
    "f64": np.dtype("f8"),
    "pred": np.dtype("?"),
}
IGNORED = (".pragma", ".loc", ".file", ".section", ".maxntid", ".minnctapersm", ".maxnreg", ".reqntid")
SPECIAL = re.compile(r"%(tid|ntid|ctaid|nctaid)\.[xyz]$|%(laneid|warpid|lanemask_(eq|lt|le|gt|ge)|dynamic_smem_size)$")


@dataclass(frozen=True, slots=True)
class Register:
    index: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Negation:
    register: Register


@dataclass(frozen=True, slots=True)
class Special:
    name: str


@dataclass(frozen=True, slots=True)
class Immediate:
    text: str


@dataclass(frozen=True, slots=True)
class Symbol:
    name: str


@dataclass(frozen=True, slots=True)
class Address:
    base: Register | Symbol | Immediate
    offset: int


@dataclass(frozen=True, slots=True)
class Group:
    """Operands in braces or parentheses, or joined by a bar."""

    items: tuple[Operand, ...]


Operand = Register | Negation | Special | Immediate | Symbol | Address | Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    parts: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Register | None
    negated: bool
    text: str
    function: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    name: str
    space: str
    align: int
    size: int
    data: bytes | None = None
    kind: str = "b8"


@dataclass(slots=True, kw_only=True)
class Function:
    name: str
    is_entry: bool
    params: tuple[Variable, ...]
    results: tuple[Variable, ...]
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Module:
    target: str
    functions: dict[str, Function]
    variables: dict[str, Variable]
    registers: list[Register]


NAME = r"[\w$%.]+"
VARIABLE = re.compile(
    rf"^(?P<words>(?:\.\w+\s+)*?)\.(?P<space>shared|const|global|local|param)\s+(?:\.ptr\s+)?(?:\.(?:shared|const|global|local)\s+)?"
    rf"(?:\.align\s+(?P<align>\d+)\s+)?\.(?P<kind>[a-z]\d+)\s+(?:\.ptr\s+)?(?:\.(?:shared|const|global|local)\s+)?(?:\.align\s+\d+\s+)?"
    rf"(?P<name>{NAME})\s*(?P<array>\[\d*\])?\s*(?:=\s*(?P<data>.*))?$",
    re.S,
)
FUNCTION = re.compile(
    rf"^(?:\.(?:visible|weak|extern)\s+)*\.(?P<kind>entry|func)\s*(?:\((?P<results>[^)]*)\))?\s*(?P<name>{NAME})\s*(?:\((?P<params>[^)]*)\))?(?P<rest>[^{{;]*)$",
    re.S,
)
STATEMENT = re.compile(r"^(?:@(?P<negated>!?)(?P<guard>%[\w$]+)\s+)?(?P<opcode>[a-z][\w.:]*)\s*(?P<operands>.*)$", re.S)


def parse(text: str) -> Module:
    """Return the module of PTX ``text``."""
    text = re.sub(r"/\*.*?\*/", "", re.sub(r"//[^\n]*", "", text), flags=re.S)
    target = re.search(r"\.target\s+(\w+)", text)
    if target is None or not re.search(r"\.address_size\s+64", text):
        raise UnsupportedInstruction("a module must name its .target and have .address_size 64")
    module = Module(target=target[1], functions={}, variables={}, registers=[])
    text = re.sub(r"^\s*\.(version|target|address_size)[^\n]*", "", text, flags=re.M)
    position = 0
    while match := re.compile(r"\s*(\S)", re.S).match(text, position):
        end = _end_of_item(text, match.start(1))
        _add_item(module, text[match.start(1) : end].strip())
        position = end
    return module


def _end_of_item(text: str, start: int) -> int:
    """Return the end of a top-level item: a declaration up to its semicolon, a function up to its closing brace."""
    depth, is_function = 0, re.match(r"(\.\w+\s+)*\.(entry|func)\b", text[start : start + 200]) is not None
    for i in range(start, len(text)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            depth -= 1
            if depth == 0 and is_function:
                return i + 1
        elif text[i] == ";" and depth == 0:
            return i + 1
    raise UnsupportedInstruction(f"unfinished: {text[start : start + 80]!r}")


def _add_item(module: Module, item: str) -> None:
    if item.startswith(IGNORED):
        return
    head, brace, body = item.partition("{")
    declared = FUNCTION.match(head.rstrip(";").strip()) if re.search(r"\.(entry|func)\b", head) else None
    if declared is None:
        variable = _variable(item.rstrip(";").strip())
        module.variables[variable.name] = variable
        return
    if not brace:
        return
    if rest := declared["rest"].split():
        for word in rest:
            if word.startswith(".") and not word.startswith(IGNORED):
                raise UnsupportedInstruction(f"directive {word} of {declared['name']}")
    function = Function(
        name=declared["name"],
        is_entry=declared["kind"] == "entry",
        params=tuple(_variable(p.strip()) for p in (declared["params"] or "").split(",") if p.strip()),
        results=tuple(_variable(p.strip()) for p in (declared["results"] or "").split(",") if p.strip()),
    )
    _Body(module, function).read(body[:-1])
    module.functions[function.name] = function


def _variable(text: str) -> Variable:
    match = VARIABLE.match(" ".join(text.split()))
    if match is None:
        raise UnsupportedInstruction(f"declaration {text[:120]!r}")
    if unknown := set(match["words"].split()) - {".visible", ".extern", ".common", ".weak"}:
        raise UnsupportedInstruction(f"{sorted(unknown)} in {text[:120]!r}")
    width = DTYPES[match["kind"]].itemsize
    data = _initial(match["data"], match["kind"]) if match["data"] else None
    count = 1 if match["array"] is None else int(match["array"][1:-1] or (len(data) // width if data else 0))
    if data is not None:
        data = data.ljust(count * width, b"\0")
    align = int(match["align"] or width)
    return Variable(name=match["name"], space=match["space"], align=align, size=count * width, data=data, kind=match["kind"])


def _initial(text: str, kind: str) -> bytes:
    values = [immediate(word.strip(), kind) for word in text.strip(" {}").split(",")]
    return np.array(values, DTYPES[kind]).tobytes()


def immediate(text: str, kind: str) -> np.generic:
    """Return the literal ``text`` as a value of type ``kind``."""
    dtype = DTYPES[kind]
    if match := re.fullmatch(r"0[fF]([0-9a-fA-F]{8})|0[dD]([0-9a-fA-F]{16})", text):
        bits = np.array(int(match[1] or match[2], 16), "u4" if match[1] else "u8")
        value = bits.view("f4" if match[1] else "f8")
        return value.astype(dtype)[()] if dtype.kind == "f" else bits.view(dtype)[()]
    if not re.fullmatch(r"[-+]?(0x[0-9a-fA-F]+|\d+)U?", text):
        raise UnsupportedInstruction(f"literal {text!r} of type {kind}")
    number = int(text.rstrip("U"), 0)
    if dtype.kind == "?":
        return np.bool_(number != 0)
    if dtype.kind == "f":
        raise UnsupportedInstruction(f"literal {text!r} of type {kind}")
    low = number & ((1 << 8 * dtype.itemsize) - 1)
    if number != low and number != low - (1 << 8 * dtype.itemsize):
        raise UnsupportedInstruction(f"literal {text!r} does not fit type {kind}")
    return np.array(low, f"u{dtype.itemsize}").view(dtype)[()]


def split(text: str) -> list[str]:
    """Split operands at the commas outside all brackets."""
    depth, items = 0, [""]
    for char in text:
        depth += (char in "[{(") - (char in ")}]")
        if char == "," and depth == 0:
            items.append("")
        else:
            items[-1] += char
    return [item.strip() for item in items if item.strip()]


class _Body:
    """Reads the body of a function; registers get their own number in every scope."""

    def __init__(self, module: Module, function: Function) -> None:
        self.module, self.function = module, function
        self.scopes: list[dict[str, tuple[str, int]]] = [{}]
        self.numbers: list[dict[str, Register]] = [{}]

    def read(self, body: str) -> None:
        position = 0
        token = re.compile(r"\s*(?:([{}])|([$\w]+):(?!:)|([^;]*);)", re.S)
        while body[position:].strip():
            match = token.match(body, position)
            if match is None:
                raise UnsupportedInstruction(f"statement {body[position : position + 80]!r}")
            position = match.end()
            if match[1] == "{":
                self.scopes.append({})
                self.numbers.append({})
            elif match[1] == "}":
                self.scopes.pop()
                self.numbers.pop()
            elif match[2]:
                self.function.labels[match[2]] = len(self.function.code)
            elif match[3].strip():
                self.statement(" ".join(match[3].split()))

    def statement(self, text: str) -> None:
        if text.startswith(".reg"):
            kind, names = re.fullmatch(r"\.reg \.(\w+) (.*)", text).groups()
            for name in names.split(","):
                stem, _, count = name.strip().partition("<")
                self.scopes[-1][stem] = (kind, int(count.rstrip(">")) if count else -1)
        elif text.startswith((".local", ".shared", ".param", ".const")):
            variable = _variable(text)
            known = self.function.variables.get(variable.name)
            if known is None or known.size < variable.size:  # calls reuse the names of their parameters
                self.function.variables[variable.name] = variable
        elif text.startswith("."):
            if not text.startswith(IGNORED):
                raise UnsupportedInstruction(f"directive {text!r}")
        else:
            self.instruction(text)

    def instruction(self, text: str) -> None:
        match = STATEMENT.match(text)
        if match is None:
            raise UnsupportedInstruction(f"statement {text!r}")
        guard = self.register(match["guard"]) if match["guard"] else None
        operands = tuple(self.operand(item) for item in split(match["operands"]))
        parts = tuple(match["opcode"].replace("::", "__").split("."))
        self.function.code.append(
            Instruction(
                parts=parts,
                operands=operands,
                guard=guard,
                negated=match["negated"] == "!",
                text=text,
                function=self.function.name,
            )
        )

    def operand(self, text: str) -> Operand:
        if text[0] in "{(":
            return Group(tuple(self.operand(item) for item in split(text[1:-1])))
        if text[0] == "[":
            base, sign, offset = re.fullmatch(r"\[\s*([^+\s-][^+\s]*?)\s*(?:([+-])\s*(-?\d+))?\s*\]", text).groups()
            return Address(self.operand(base), int(offset or 0) * (-1 if sign == "-" else 1))
        if "|" in text:
            return Group(tuple(self.operand(item.strip()) for item in text.split("|")))
        if text[0] == "!":
            return Negation(self.register(text[1:]))
        if SPECIAL.match(text):
            return Special(text)
        if re.match(r"[-+]?\d", text):
            return Immediate(text)
        register = self.find(text)
        if register is None and text[0] == "%":
            raise UnsupportedInstruction(f"register {text} is not declared")
        return register or Symbol(text)

    def register(self, name: str) -> Register:
        register = self.find(name)
        if register is None:
            raise UnsupportedInstruction(f"register {name} is not declared")
        return register

    def find(self, name: str) -> Register | None:
        """Return the register that ``name`` means here, if it is one."""
        for scope, numbers in zip(reversed(self.scopes), reversed(self.numbers), strict=True):
            if name in numbers:
                return numbers[name]
            stem, digits = re.fullmatch(r"(.*?)(\d*)", name).groups()
            kind = None
            if name in scope and scope[name][1] < 0:
                kind = scope[name][0]
            elif digits and stem in scope and int(digits) < scope[stem][1]:
                kind = scope[stem][0]
            if kind is not None:
                numbers[name] = Register(len(self.module.registers), kind, name)
                self.module.registers.append(numbers[name])
                return numbers[name]
        return None
