"""Every backend passes the same tests."""

import pytest

from tests.conformance.backends import BACKENDS


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request):
    return request.param


@pytest.fixture(params=BACKENDS[1:], ids=lambda backend: backend.name)
def other(request):
    """A backend other than the reference."""
    return request.param
