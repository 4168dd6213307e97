"""Every kernel of the table compiled and assembled for six architectures, in this process, with no driver and no GPU."""

import ast
import re
import struct
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest

import simprune

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from simprune.backends.compile_cuda import assemble
from simprune.backends.cuda_arguments import packing
from simprune.backends.cuda_kernels import KERNELS
from tests.backends.interpreted import compiled, machine
from tests.ptx.syntax import DTYPES

PACKAGE = Path(simprune.__file__).parent
each_kernel = pytest.mark.parametrize("name", KERNELS)


@pytest.mark.slow
@each_kernel
def test_kernels_keep_to_their_budgets(name):
    kernel = KERNELS[name]
    for capability, ptx in compiled(name).items():
        used = assemble(ptx, capability)
        assert used.registers <= kernel.registers[capability], (capability, used)
        assert used.shared <= kernel.shared, (capability, used)
        assert used.spilt == used.stack == 0, (capability, used)
        # A thread of a full block must get its registers.
        assert kernel.registers[capability] * kernel.threads <= 65536


@pytest.mark.slow
@each_kernel
def test_kernels_use_the_operations_that_their_names_promise(name):
    kernel = KERNELS[name]
    for ptx in compiled(name).values():
        if kernel.is_float32:
            assert not re.search(r"\.f64\b", ptx)
        if kernel.is_integer:
            assert not re.search(r"\.f(16|32|64)\b", ptx)
        # Approximate instructions differ between GPUs; calls and local memory cost what no budget shows.
        assert not re.search(r"\.approx|\bcall\b|\.local\b", ptx)


def test_arguments_are_packed_as_the_kernels_read_them():
    sizes = {code: struct.calcsize(code) for code in "?IqQfdP"}
    for name in ("sample32", "sample64", "product32", "normals64", "move32", "evaluate_activation"):
        kernel = KERNELS[name]
        record = packing(kernel.signature)
        widths = [
            DTYPES[param.kind].itemsize for param in next(iter(machine(name).program.module.functions.values())).params
        ]
        assert [sizes[code] for code in record.format] == widths
        ends = accumulate(widths, lambda end, width: -(-end // width) * width + width)
        assert record.size == list(ends)[-1]


def test_names_say_the_precision():
    singles = {name[:-2] for name in KERNELS if name.endswith("32")}
    doubles = {name[:-2] for name in KERNELS if name.endswith("64")}
    assert singles == doubles
    assert {"sample", "radix_digit", "pack_mask", "pair_product", "product", "correct", "move"} <= singles
    for name in singles:
        assert KERNELS[f"{name}32"].threads == KERNELS[f"{name}64"].threads
    assert any(kernel.is_integer for kernel in KERNELS.values())


def test_there_is_one_door_to_numba_cuda():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and path.name != "compile_cuda.py":
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                assert not any(name.startswith(("numba.cuda", "numba_cuda")) for name in names), path
            if isinstance(node, ast.Attribute) and node.attr == "jit":
                assert path.name == "compile_cuda.py"


def test_the_package_is_silent_without_a_driver():
    code = (
        "import sys, simprune, simprune.api, simprune.backends.cuda_missing as m; "
        "assert not any(name.startswith(('numba', 'cuda')) for name in sys.modules), 'loaded'; "
        "import simprune.backends.cuda, simprune.backends.cuda_gpu as g; g.gpu_device()"
    )
    found = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
