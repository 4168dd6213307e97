"""Elementary functions from IEEE operations: against the C library and against SciPy."""

import math

import numpy as np
import pytest
from scipy import special

from simprune.model.scalars import exp, half_normal_quantile, log, tanh

EPS = 2.0**-52


def relative(found, wanted):
    return abs(found - wanted) / abs(wanted) if wanted else abs(found)


def points(seed, low, high, count=4000):
    return np.random.default_rng(seed).uniform(low, high, count).tolist()


def test_exp():
    assert exp(0.0) == 1.0
    assert max(relative(exp(x), math.exp(x)) for x in points(1, -700.0, 700.0) + points(2, -1.0, 1.0)) < 4 * EPS


def test_tanh():
    small = [sign * 10.0**-e for e in range(1, 300, 7) for sign in (-1, 1)]
    grid = points(3, -25.0, 25.0) + points(4, -1.0, 1.0) + [0.625, 0.6249999, -0.625, 22.0, 22.1] + small
    assert max(relative(tanh(x), math.tanh(x)) for x in grid) < 4 * EPS
    assert (tanh(0.0), tanh(400.0), tanh(-400.0), tanh(1e308)) == (0.0, 1.0, -1.0, 1.0)
    assert all(tanh(-x) == -tanh(x) for x in grid)


def test_log():
    grid = [10.0**e for e in range(-300, 300, 7)] + points(5, 1e-9, 4.0) + [1 - 2.0**-53, 1 + EPS, 0.7071067811865475]
    assert max(relative(log(x), math.log(x)) for x in grid) < 4 * EPS
    assert log(1.0) == 0.0


def test_half_normal_quantile_agrees_with_scipy():
    bulk = [u for u in points(6, 0.0, 1.0) if u < 0.9]
    assert max(relative(half_normal_quantile(u, 1.0 - u), math.sqrt(2.0) * special.erfinv(u)) for u in bulk) < 4e-15
    tail = [10.0**-e for e in np.linspace(0.2, 16.0, 300)]
    assert max(relative(half_normal_quantile(1.0 - c, c), -special.ndtri(0.5 * c)) for c in tail) < 1e-14


def test_half_normal_quantile_is_accurate_near_zero():
    slope = math.sqrt(math.pi / 2.0)
    assert all(half_normal_quantile(u, 1.0 - u) == pytest.approx(slope * u, rel=1e-12) for u in (1e-8, 1e-12, 2.0**-54))


def test_half_normal_quantile_is_monotone_over_neighbouring_keys():
    for start in (0, 1 << 20, 1 << 29, int(0.85 * 2**31), (1 << 31) - 2001):
        keys = range(start, start + 2000)
        values = [half_normal_quantile((k + 0.5) / 2**31, (2**31 - k - 0.5) / 2**31) for k in keys]
        assert values == sorted(values)
