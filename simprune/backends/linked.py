"""How Numba makes machine code of kernels and of the functions that only kernels call.

All vector code is as wide as the processor allows: on Intel's with AVX-512 the compiler would stop at half the width, for
the sake of clock rates of an earlier generation; random numbers take 1.6 to 2.4 times as long then (README, "Speed").

Numba optimises every function that it compiles and makes machine code of it, then links it into its callers and does both
again, at every level. What only kernels call never runs by itself: no machine code is made of it, and it is optimised
where its loops are (in functions that call no other of ours) and again in the kernel, not at the levels between. Left to the
kernel alone, loops such as those of the random numbers would lose their vector form. No result depends on any of this.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _NoEnvironment:
    """A code generator without symbols: there is no machine code whose environment could be set."""

    def set_env(self, name: str, environment: Any) -> None:
        """Set nothing; kernels from the cache run without the environments of what they call as well."""


WIDEST = '"prefer-vector-width"="512"'


class WideLibrary(JITCodeLibrary):
    """The code of one function, in vectors of the full width."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Add the code of ``ir_module``, each of its functions marked with the preferred width."""
        for function in ir_module.functions:
            if not function.is_declaration:
                set.add(function.attributes, WIDEST)  # the set's own ``add`` knows no attributes of a processor
        super().add_ir_module(ir_module)  # type: ignore[no-untyped-call]


class LinkedLibrary(WideLibrary):
    """The code of one function with all that it calls, to be linked into a kernel."""

    @property
    def codegen(self) -> _NoEnvironment:
        """What the compiler tells the addresses of the function's environment."""
        return _NoEnvironment()

    def _optimize_final_module(self) -> None:
        if not any(isinstance(library, LinkedLibrary) for library in self._linking_libraries):
            super()._optimize_final_module()  # type: ignore[no-untyped-call]

    def _finalize_final_module(self) -> None:
        self._finalized = True


class KernelCompiler(Compiler):
    """Numba's pipeline, with its output in a library of ours."""

    library_class: type[WideLibrary] = WideLibrary

    def __init__(self, typing_context: Any, target_context: Any, *args: Any) -> None:
        super().__init__(typing_context, target_context, *args)  # type: ignore[no-untyped-call]
        name = self.library_class.__name__
        self.state.library = self.library_class(target_context.codegen(), name)
        self.state.library.enable_object_caching()


class LinkedCompiler(KernelCompiler):
    """The same for functions that only kernels call."""

    library_class = LinkedLibrary
