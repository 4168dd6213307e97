"""Every backend that can be imported passes the same tests."""

import importlib.util

import pytest

from simprune.backends.reference import ReferenceBackend


def all_backends():
    """One object of each backend; a module that is there must be importable."""
    found = [ReferenceBackend()]
    if importlib.util.find_spec("simprune.backends.cpu") is not None:
        from simprune.backends.cpu import CpuBackend

        found.append(CpuBackend())
    return found


BACKENDS = all_backends()


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request):
    return request.param


@pytest.fixture(params=BACKENDS[1:], ids=lambda backend: backend.name)
def other(request):
    """A backend other than the reference."""
    return request.param
