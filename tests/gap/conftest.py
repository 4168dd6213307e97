"""Every estimator passes the same tests on every backend."""

import pytest

from tests.conformance.backends import BACKENDS


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def backend(request):
    return request.param
