"""What the second process runs (``helper``): operations of the CPU backend on a network of one weight, to compile them."""

import fcntl
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from simprune.backends.compile import CACHE
from simprune.backends.cpu import CpuOps, Passed
from simprune.backends.cpu_pruned import CpuPruned
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.model.activations import ReLU, Tanh
from simprune.model.distributions import Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning

ACTIVATIONS = {"piecewise": ReLU(), "smooth": Tanh()}


class BlankOps(CpuOps):
    """Operations on one trial whose one weight is 0 and stays: no other kernel runs for them."""

    def __init__(self, precision: str, kind: str) -> None:
        network = NetworkSpec(widths=(1, 1), activation=ACTIVATIONS[kind], target=SampledTarget(distribution=Uniform()))
        rule = MagnitudePruning(pruned_fraction=0.0)
        point = Point(network=network, rule=rule, estimators=(Ascent(),), seed=0, precision=precision)
        super().__init__(point, np.zeros(1, dtype=np.int64), None)
        self._weights = np.zeros((1, 1), self._dtype)
        vars(self)["_turned"] = np.zeros((1, 1), self._dtype)

    def blank(self) -> CpuPruned:
        """Return entries of nothing, and of nothing transposed."""
        pruned = self._room_for([0])
        pruned.starts[:] = 0
        vars(pruned)["turned"] = tuple(part.copy() for part in pruned.entries)
        return pruned

    def run(self, name: str) -> Any:
        """Run the operation."""
        x, norms = np.zeros((1, 1, 8), self._dtype), np.zeros((1, 8), self._dtype)
        if name == "output_gradient":
            return self.output_gradient(Passed(x=x, z=x.copy(), h=x.copy(), norms=norms, has_run=True))
        if name == "step":
            return self.step(x, x.copy(), norms)
        if name == "gap_and_gradient":
            return self.gap_and_gradient(x, self.blank())
        return self.layer_norms(self.blank())


def compile_operations(precision: str, kind: str, names: Sequence[str]) -> None:
    """Compile the operations for a precision and a kind of activation; print the name of each once it is on disk.

    Nothing is done while another process does the same for this cache.
    """
    with open(CACHE / "helper.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        ops = BlankOps(precision, kind)
        for name in names:
            ops.run(name)
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """Compile what ``arguments`` say, and end where the first process ends: its end closes this one's standard input."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    precision, kind, *names = arguments
    compile_operations(precision, kind, names)


def _end_with_input() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)
