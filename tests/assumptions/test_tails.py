"""Kurtosis, its interval and the sub-Gaussian proxy of laws whose values are known."""

import numpy as np
import pytest

from simprune.assumptions.tails import excess_kurtosis, tails

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("draw", "kurtosis"), [(RNG.random, -1.2), (RNG.standard_normal, 0.0), (lambda n: RNG.laplace(size=n), 3.0)]
)
def test_known_kurtosis(draw, kurtosis):
    assert tails(draw(200_000)).excess_kurtosis == pytest.approx(kurtosis, abs=0.2)


def test_the_interval_covers():
    drawn = RNG.standard_normal((300, 2000))
    z = (drawn - drawn.mean(axis=1, keepdims=True)) / drawn.std(axis=1, keepdims=True)
    assert sum(excess_kurtosis(row)[1].contains(0.0) for row in z) > 0.87 * 300


def test_the_proxy_is_one_where_it_must_be_and_at_least_the_direct_supremum():
    signs = np.repeat([-1.0, 1.0], 500)
    assert tails(signs).proxy == pytest.approx(1.0)
    assert tails(RNG.random(50_000)).proxy == pytest.approx(1.0, abs=0.01)
    assert tails(RNG.standard_normal(50_000)).proxy == pytest.approx(1.0, abs=0.03)
    lopsided = (RNG.random(50_000) < 0.01).astype(float)
    z = (lopsided - lopsided.mean()) / lopsided.std()
    direct = max(np.sqrt(2.0 * np.log(np.mean(np.exp(t * z)))) / t for t in np.linspace(0.1, 5.0, 100))
    assert tails(lopsided).proxy == pytest.approx(direct, rel=0.01)
    assert tails(RNG.laplace(size=50_000)).proxy > 1.3
