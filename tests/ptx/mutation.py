"""The mutation check: one line of a kernel is changed, and the stages of ``twins`` must notice.

A mutant is text put in place of text inside one function; the module and all that depend on it are imported afresh from
the changed source, the kernels that contain the line are compiled and interpreted, the others stay as they are.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simprune.backends.cuda_kernels import Kernel
from tests.backends.interpreted import InterpretedDevice
from tests.ptx.compilation import compile_ptx
from tests.ptx.errors import PtxError
from tests.ptx.machine import Machine
from tests.ptx.twins import STAGES

PACKAGE = "simprune.backends"
STEP_LIMIT = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """``before`` occurs once in ``function`` of ``module`` and becomes ``after``; ``kernels`` (by the start of their names)
    contain it, ``stage`` must notice."""

    name: str
    module: str
    function: str
    before: str
    after: str
    kernels: tuple[str, ...]
    stage: str

    def source(self) -> str:
        """Return the mutated text of the module; raises ValueError if the line is not there once."""
        text = (Path(importlib.import_module(f"{PACKAGE}.{self.module}").__file__ or "")).read_text()
        match = re.search(rf"^def {self.function}\(.*?(?=^\S|\Z)", text, re.M | re.S)
        count = match[0].count(self.before) if match else 0
        if match is None or count != 1:
            raise ValueError(
                f"mutant {self.name!r} must find its line once in {self.module}.{self.function}, found {count} times"
            )
        return text[: match.start()] + match[0].replace(self.before, self.after) + text[match.end() :]


class _MutatedLoader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a given text."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.text = name, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.text, f"<mutated {self.name}>", "exec"), module.__dict__)


@contextmanager
def _mutated(mutant: Mutant) -> Iterator[dict[str, Kernel]]:
    """Give the kernel table of the mutated modules; the modules of the rest of the process are untouched."""
    package = importlib.import_module(PACKAGE)
    own = {name: module for name, module in sys.modules.items() if name.startswith(f"{PACKAGE}.cuda_")}
    loader = _MutatedLoader(f"{PACKAGE}.{mutant.module}", mutant.source())
    sys.meta_path.insert(0, loader)
    try:
        for name in own:
            del sys.modules[name]
            delattr(package, name.rpartition(".")[2])
        yield importlib.import_module(f"{PACKAGE}.cuda_kernels").KERNELS
    finally:
        sys.meta_path.remove(loader)
        for name in [n for n in sys.modules if n.startswith(f"{PACKAGE}.cuda_")]:
            del sys.modules[name]
        for name, module in own.items():
            sys.modules[name] = module
            setattr(package, name.rpartition(".")[2], module)


class MutantDevice(InterpretedDevice):
    """Interprets some kernels of a mutant, all others as they are."""

    def __init__(self, machines: dict[str, Machine]) -> None:
        super().__init__()
        self.machines = machines
        self.launched: set[str] = set()

    def _launch(self, kernel: Kernel, grid: Any, arguments: Sequence[Any]) -> None:
        machine = self.machines.get(kernel.name)
        if machine is None:
            super()._launch(kernel, grid, arguments)
        else:
            self.launched.add(kernel.name)
            machine.launch(None, grid, kernel.threads, arguments)


def outcome(mutant: Mutant) -> str | None:
    """Return how the mutant was caught, None if it survived; raises ValueError if it was never run."""
    with _mutated(mutant) as kernels:
        chosen = [k for k in kernels.values() if k.name.startswith(mutant.kernels)]
        machines = {k.name: Machine(compile_ptx(k.function, k.signature), step_limit=STEP_LIMIT) for k in chosen}
    device = MutantDevice(machines)
    try:
        STAGES[mutant.stage](device)
    except PtxError as error:
        return f"{type(error).__name__}: {error}"
    except AssertionError as error:
        return "wrong numbers: " + " ".join(str(error).split())
    if not device.launched:
        raise ValueError(
            f"mutant {mutant.name!r} must run in stage {mutant.stage!r}, none of its kernels did: {sorted(machines)}"
        )
    return None
