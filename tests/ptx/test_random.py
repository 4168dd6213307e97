"""Random kernels: the same Python source compiled to PTX and interpreted, and compiled for the CPU by Numba."""

import linecache
import random

import numpy as np
import pytest
from numba import njit

from tests.ptx.compilation import array, compile_ptx, types
from tests.ptx.machine import Machine

N = 256
PREAMBLE = """
import math
import numpy as np
from numba import cuda
i32, u32, i64, u64, f32, f64 = np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64
"""


class Source:
    """Writes a random function of integers and floats: assignments, branches, loops, an array of its own."""

    def __init__(self, seed, real):
        self.random, self.real = random.Random(seed), real
        self.lines = []
        self.names = {"u": ["a", "b"], "f": ["x", "y"]}

    def integer(self, depth):
        r = self.random
        if depth == 0:
            return r.choice([*self.names["u"], *self.names["u"], f"u32({r.getrandbits(32)})", f"u32({r.randrange(40)})"])
        x, y = self.integer(depth - 1), self.integer(depth - 1)
        k = r.randrange(1, 32)
        return r.choice(
            [
                f"u32({x} + {y})",
                f"u32({x} - {y})",
                f"u32({x} * {y})",
                f"u32({x} & {y})",
                f"u32({x} | {y})",
                f"u32({x} ^ {y})",
                f"u32({x} << u32({k}))",
                f"u32({x} >> u32({k}))",
                f"u32({x} >> u32({y} & u32(31)))",
                f"u32(i32({x}) >> i32({k}))",
                f"u32(u64({x}) * u64({y}) >> u64(32))",
                f"u32(i64(i32({x})) * i64(i32({y})) >> i64({k}))",
                f"u32({x} // u32({y} | u32(1)))",
                f"u32({x} % u32({y} | u32(1)))",
                f"u32(i64(i32({x})) % i64(i32({y}) | i32(1)))",
                f"(u32({x}) if i32({x}) < i32({y}) else u32({y}))",
                f"u32(min(i64({x}), i64({y})))",
                f"u32(i64(f64({x}) * 0.37))",
                f"u32(({x} << u32({k})) | ({x} >> u32({32 - k})))",
            ]
        )

    def float(self, depth):
        """Return an expression whose operations cannot be fused, so that both compilers must give the same bits."""
        r, t = self.random, self.real
        if depth == 0:
            return r.choice([*self.names["f"], f"{t}({r.uniform(-3, 3)!r})", f"{t}({self.integer(0)})"])
        x, y = self.float(depth - 1), self.float(depth - 1)
        return r.choice(
            [
                f"{t}({x} + {y})",
                f"{t}({x} - {y})",
                f"{t}(math.fabs({x}))",
                f"{t}(-{x})",
                f"{t}({x} / ({t}(1.5) + {t}(math.fabs({y}))))",
                f"{t}(math.sqrt({t}(math.fabs({x}))))",
                f"{t}(min({x}, {y}))",
                f"{t}(max({x}, {y}))",
                f"{t}(math.floor({x}))",
                f"({x} if {x} < {y} else {y})",
                f"{t}({x} if {self.integer(0)} > {self.integer(0)} else {y})",
            ]
        )

    def statement(self, indent, depth):
        r, pad = self.random, "    " * indent
        choice = r.randrange(7 if depth else 3)
        if choice < 2:
            self.lines.append(f"{pad}{r.choice(self.names['u'])} = {self.integer(2)}")
        elif choice == 2:
            self.lines.append(f"{pad}{r.choice(self.names['f'])} = {self.float(2)}")
        elif choice == 3:
            self.lines.append(f"{pad}if {self.integer(1)} < {self.integer(1)}:")
            self.block(indent + 1, depth - 1)
            self.lines.append(f"{pad}else:")
            self.block(indent + 1, depth - 1)
        elif choice == 4:
            self.lines.append(f"{pad}for _ in range(i64({self.integer(0)} % u32({r.randrange(1, 6)}))):")
            self.block(indent + 1, depth - 1)
        elif choice == 5:
            self.lines.append(f"{pad}own[{self.integer(1)} % u32(8)] ^= {self.integer(1)}")
        else:
            self.lines.append(f"{pad}{r.choice(self.names['u'])} = u32(own[{self.integer(1)} % u32(8)])")

    def block(self, indent, depth):
        for _ in range(self.random.randrange(1, 4)):
            self.statement(indent, depth)

    def text(self):
        for _ in range(4):
            self.statement(1, 2)
        body = "\n".join(self.lines)
        return f"def body(a, b, x, y, own):\n    a, b = u32(a), u32(b)\n{body}\n    return a, b, x, y\n"


def function_of(source, name, **known):
    """Compile a text, with the source that Numba asks for."""
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    namespace = dict(known)
    exec(compile(PREAMBLE, "<preamble>", "exec"), namespace)
    exec(compile(source, file, "exec"), namespace)
    return namespace[source.split("(")[0].removeprefix("def ")]


def check(seed, real, cc):
    text = Source(seed, {"float32": "f32", "float64": "f64"}[real]).text()
    body = function_of(text, f"body {seed}")
    kernel = function_of(
        """def kernel(a, b, x, y):
    i = cuda.grid(1)
    own = cuda.local.array(8, np.uint32)
    for j in range(8):
        own[j] = u32(j)
    a[i], b[i], x[i], y[i] = body(a[i], b[i], x[i], y[i], own)
""",
        f"kernel {seed}",
        body=njit(inline="always", error_model="numpy")(body),
    )
    on_cpu = function_of(
        """def on_cpu(a, b, x, y):
    own = np.empty(8, np.uint32)
    for i in range(a.size):
        for j in range(8):
            own[j] = u32(j)
        a[i], b[i], x[i], y[i] = body(a[i], b[i], x[i], y[i], own)
""",
        f"cpu {seed}",
        body=njit(error_model="numpy")(body),
    )
    rng = np.random.default_rng(seed)
    words = [rng.integers(0, 1 << 32, N, dtype=np.uint32) >> rng.integers(0, 32, N, dtype=np.uint32) for _ in range(2)]
    reals = [rng.standard_normal(N).astype(real) for _ in range(2)]
    ours, theirs = [a.copy() for a in (*words, *reals)], [a.copy() for a in (*words, *reals)]
    kinds = [types.uint32, types.uint32, getattr(types, real), getattr(types, real)]
    machine = Machine(compile_ptx(kernel, tuple(array(kind) for kind in kinds), cc))
    machine.launch(None, N // 64, 64, ours)
    njit(error_model="numpy")(on_cpu)(*theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=text)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_random_kernel(seed):
    check(seed, ("float32", "float64")[seed % 2], ((7, 5), (9, 0), (12, 0))[seed % 3])
