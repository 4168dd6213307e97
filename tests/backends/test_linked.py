"""Kernels are compiled for vectors of the processor's full width, whatever they call."""

import llvmlite.binding as llvm
import numpy as np
import pytest

from simprune.backends.compile import inner, kernel
from simprune.backends.linked import WIDEST


def _doubled(x):
    return 2.0 * x


@pytest.fixture(scope="module")
def compiled():
    double = inner(_doubled)

    def add_doubled(a, b):
        for i in range(a.size):
            a[i] += double(b[i])

    function = kernel(add_doubled)
    a, b = np.ones(37, np.float32), np.arange(37, dtype=np.float32)
    function(a, b)
    assert np.array_equal(a, 1 + 2 * np.arange(37))
    return function


def test_every_function_of_a_kernel_prefers_the_full_width(compiled):
    (code,) = compiled.inspect_llvm().values()
    assert WIDEST in code


@pytest.mark.skipif(not llvm.get_host_cpu_features().get("avx512f"), reason="needs a processor with AVX-512")
def test_machine_code_has_vectors_of_512_bits(compiled):
    (code,) = compiled.inspect_asm().values()
    assert "zmm" in code
