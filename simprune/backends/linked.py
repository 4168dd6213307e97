"""Compilation of functions that only kernels call, to code that is linked and nothing more.

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


class LinkedLibrary(JITCodeLibrary):
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


class LinkedCompiler(Compiler):
    """Numba's pipeline, with its output in a ``LinkedLibrary``."""

    def __init__(self, typing_context: Any, target_context: Any, *args: Any) -> None:
        super().__init__(typing_context, target_context, *args)  # type: ignore[no-untyped-call]
        self.state.library = LinkedLibrary(target_context.codegen(), "linked")  # type: ignore[no-untyped-call]
