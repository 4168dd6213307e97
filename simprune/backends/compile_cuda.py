"""The one door to numba.cuda: device functions, compilation without a device, and the launch on a real one."""

import re
import types as python_types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numba import cuda as numba_cuda
from numba import njit, types

__all__ = ["Resources", "assemble", "compiler_version", "cubin_of", "cuda", "device_function", "ptx_of"]

cuda: Any = numba_cuda


def device_function(function: Callable[..., Any]) -> Any:
    """Compile an undecorated function that kernels call; the plain functions that it calls by name are compiled as well.

    Inlined before typing: a kernel that calls another device function cannot be compiled where there is no driver.
    Without fast-math, numpy's division. NVVM still contracts a * b + c into one rounding.
    """
    names = {}
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, python_types.FunctionType) and called is not function:
            names[name] = device_function(called)
    bound = python_types.FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__)
    return njit(inline="always", error_model="numpy", fastmath=False)(bound)


def ptx_of(
    function: Callable[..., None], signature: Sequence[Any], capabilities: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """Return the PTX of an undecorated kernel for compute capabilities, as a launch would compile it; needs no driver."""
    from numba.cuda import compiler

    compile_once: Any = compiler.__dict__["_compile_pyfunc_with_fixup"]
    compiled, _ = compile_once(function, types.void(*signature), device=False, abi="numba", cc=capabilities[0])
    return {capability: compiled.get_asm_strs(cc=capability)[0] for capability in capabilities}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Registers of a thread, bytes of shared memory of a block, bytes spilt and bytes of stack of an assembled kernel."""

    registers: int
    shared: int
    spilt: int
    stack: int


def compiler_version() -> str:
    """Return what machine code depends on besides the sources: the versions of the compiler and of the assembler."""
    from importlib.metadata import version

    from cuda.bindings import nvjitlink

    return "-".join([version("numba-cuda"), *map(str, nvjitlink.version())])


def cubin_of(ptx: str, capability: tuple[int, int]) -> bytes:
    """Return the machine code of PTX for a compute capability, assembled in this process; needs no driver."""
    return _linked(ptx, capability)[0]


def assemble(ptx: str, capability: tuple[int, int]) -> Resources:
    """Assemble PTX for a compute capability, in this process, and return what the kernel uses; needs no driver."""
    text = _linked(ptx, capability)[1]
    shared = re.search(r"(\d+) bytes smem", text)
    return Resources(
        registers=_number(r"Used (\d+) registers", text),
        shared=int(shared[1]) if shared else 0,
        spilt=_number(r"(\d+) bytes spill stores", text) + _number(r"(\d+) bytes spill loads", text),
        stack=_number(r"(\d+) bytes stack frame", text),
    )


def _linked(ptx: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """Return machine code and the assembler's report."""
    from cuda.bindings import nvjitlink

    major, minor = capability
    options = [f"-arch=sm_{major}{minor}", "-verbose", "-Xptxas=-v"]
    source = ptx.encode()
    linker = nvjitlink.create(len(options), options)
    try:
        nvjitlink.add_data(linker, nvjitlink.InputType.PTX, source, len(source), "kernel")
        nvjitlink.complete(linker)
        log = bytearray(nvjitlink.get_info_log_size(linker))
        nvjitlink.get_info_log(linker, log)
        code = bytearray(nvjitlink.get_linked_cubin_size(linker))
        nvjitlink.get_linked_cubin(linker, code)
    finally:
        nvjitlink.destroy(linker)
    return bytes(code), log.decode()


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the assembler's report must say {pattern}, got: {text}")
    return int(found[1])
