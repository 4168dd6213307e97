"""One object of each backend; a module that is there must be importable."""

import importlib.util

from simprune.backends.reference import ReferenceBackend


def all_backends():
    """The reference first, then what the package holds."""
    found = [ReferenceBackend()]
    if importlib.util.find_spec("simprune.backends.cpu") is not None:
        from simprune.backends.cpu import CpuBackend

        found.append(CpuBackend())
    return found


BACKENDS = all_backends()
