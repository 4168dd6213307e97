"""Small pieces of PTX to run: a body on one array, one instruction on arrays of operands that show its edges."""

import numpy as np

from tests.ptx.machine import Machine
from tests.ptx.syntax import DTYPES

N = 256
LETTER = {"pred": "p", "b16": "h", "b32": "r", "b64": "l", "f32": "f", "f64": "d"}
REGISTER = {2: "b16", 4: "b32", 8: "b64"}


MODULE = """
.version 9.0
.target sm_90
.address_size 64
.visible .entry k(
 .param .u64 a0, .param .u64 a1, .param .u64 a2, .param .u64 a3, .param .u64 a4, .param .u64 a5, .param .u64 a6)
{
 .reg .b64 %rd<9>; .reg .b32 %r<9>; .reg .b16 %h<9>; .reg .f32 %f<9>; .reg .pred %p<9>;
 ld.param.u64 %rd1, [a4];
 mov.u32 %r0, %tid.x;
 mad.wide.u32 %rd0, %r0, 4, %rd1;
 BODY
 ret;
}
"""


def module(body):
    """Return a kernel of one array of 32-bit words: %rd1 is its address, %rd0 that of the thread's own word, %r0 %tid.x."""
    return MODULE.replace("BODY", body)


def assembly(body, words=None):
    """Run a body on 32 threads and return the words."""
    words = np.zeros(32, np.int32) if words is None else words
    Machine(module(body)).launch(None, 1, 32, [words])
    return words


def evaluate(instruction, kinds, *inputs):
    """Run one instruction on every row of the inputs; ``instruction`` has {0} for its result, {1} ... for operands.

    ``kinds``: PTX types of the result and of the operands.
    """
    registers = {k: f".reg .{k} %{LETTER[k]}<9>;" for k in LETTER}
    names = [f"%{LETTER[_register(kind)]}{i + 1}" for i, kind in enumerate(kinds)]
    arrays = [np.zeros(inputs[0].size, DTYPES[kinds[0]]), *inputs]
    loads = "".join(
        f"ld.param.u64 %l0, [a{7 * i + 4}]; mad.wide.u32 %l0, %r0, {a.itemsize}, %l0; "
        + (f"ld.global.{kinds[i]} {names[i]}, [%l0];\n" if i else "mov.u64 %l8, %l0;\n")
        for i, a in enumerate(arrays)
    )
    body = f"""mov.u32 %r0, %tid.x; mov.u32 %r8, %ctaid.x; mad.lo.s32 %r0, %r8, 128, %r0;
        {loads} {instruction.format(*names)} st.global.{kinds[0]} [%l8], {names[0]}; ret;"""
    params = ", ".join(f".param .u64 a{i}" for i in range(7 * len(arrays)))
    head = ".version 9.0\n.target sm_90\n.address_size 64\n"
    text = f"{head}.visible .entry k({params})\n{{ {' '.join(registers.values())} {body} }}"
    assert inputs[0].size % 128 == 0
    Machine(text).launch(None, inputs[0].size // 128, 128, arrays)
    return arrays[0]


def _register(kind):
    return kind if kind in LETTER else REGISTER[DTYPES[kind].itemsize]


def integers(kind, seed=0):
    """Return edge cases and random values of all sizes."""
    dtype, rng = DTYPES[kind], np.random.default_rng(seed)
    bits = 8 * dtype.itemsize
    edges = [0, 1, 2, (1 << bits) - 1, 1 << (bits - 1), (1 << (bits - 1)) - 1, (1 << (bits - 1)) + 1, 3 << (bits // 2)]
    values = [int(v) >> int(s) for v, s in zip(rng.integers(0, 1 << 64, N, np.uint64), rng.integers(0, 64, N), strict=True)]
    values[: 2 * len(edges)] = edges + edges[::-1]
    mixed = rng.permutation(np.array([v & ((1 << bits) - 1) for v in values], np.uint64))
    return mixed.astype(f"u{dtype.itemsize}").view(dtype)


def floats(kind, seed=0):
    """Return specials, subnormals, neighbours and random values of all sizes."""
    dtype, rng = DTYPES[kind], np.random.default_rng(seed)
    info = np.finfo(dtype)
    edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.inf,
        -np.inf,
        np.nan,
        info.max,
        info.min,
        info.tiny,
        info.tiny / 4,
        1 + float(info.eps),
        0.5,
        -2.5,
    ]
    spread = info.maxexp // 3
    values = rng.standard_normal(N) * np.exp2(rng.integers(-spread, spread, N))
    values[::3] = rng.standard_normal(len(values[::3]))
    values[1 : 1 + len(edges)] = edges
    return rng.permutation(values.astype(dtype))


def wrap(value, kind):
    """Return an integer in the range of ``kind``."""
    bits = int(kind[1:])
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value
