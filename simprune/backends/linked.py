"""Compilation of functions that only kernels call, to code that is linked and nothing more.

Numba optimises every function that it compiles and makes machine code of it, then links it into its callers and does both
again, at every level. What only kernels call never runs by itself: here it stays as it was lowered until the kernel that
links it is optimised as a whole. No result depends on it, and kernels run as fast; a first run compiles in two thirds.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _NoEnvironment:
    """A code generator without symbols: there is no machine code whose environment could be set."""

    def set_env(self, name: str, environment: Any) -> None:
        """Set nothing; kernels from the cache run without the environments of what they call as well."""


class LinkedLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one function with all that it calls, to be linked into a kernel."""

    @property
    def codegen(self) -> _NoEnvironment:
        """What the compiler tells the addresses of the function's environment."""
        return _NoEnvironment()

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class LinkedCompiler(Compiler):  # type: ignore[misc]
    """Numba's pipeline, with its output in a ``LinkedLibrary``."""

    def __init__(self, typing_context: Any, target_context: Any, *args: Any) -> None:
        super().__init__(typing_context, target_context, *args)
        self.state.library = LinkedLibrary(target_context.codegen(), "linked")
