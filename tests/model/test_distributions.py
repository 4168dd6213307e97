"""Weight laws: quantile and distribution function, moments, tails, and scale."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from simprune.model.distributions import DISTRIBUTIONS, Gaussian, Laplace, Rademacher, Uniform
from simprune.model.errors import InputError

CONTINUOUS = [law for law in DISTRIBUTIONS if law.is_continuous]
each_law = pytest.mark.parametrize("law", CONTINUOUS, ids=lambda law: law.name)
keys = st.integers(0, 2**31 - 1) | st.integers(0, 3) | st.integers(2**31 - 4, 2**31 - 1)


def magnitude(law, key, bits=31):
    return law.magnitude((key + 0.5) * 2.0**-bits, (2**bits - key - 0.5) * 2.0**-bits)


@each_law
@given(key=keys)
@settings(max_examples=300, deadline=None)
def test_the_magnitude_inverts_the_distribution_function(law, key):
    u = (key + 0.5) * 2.0**-31
    assert law.magnitude_cdf(magnitude(law, key)) == pytest.approx(u, rel=1e-13, abs=0.0)


@each_law
@given(first=keys, second=keys)
@settings(max_examples=300, deadline=None)
def test_the_magnitude_grows_with_the_key(law, first, second):
    low, high = sorted((first, second))
    assert 0.0 < magnitude(law, low) <= magnitude(law, high)
    assert low == high or magnitude(law, low) < magnitude(law, high)


@each_law
@pytest.mark.parametrize(("bits", "ulps"), [(31, 0), (53, 2)])
def test_the_magnitude_is_monotone_over_neighbouring_keys(law, bits, ulps):
    """With 31 bits strictly; with 53 bits neighbouring keys lie as close as rounding errors do."""
    for start in (0, 1 << bits - 3, 17 << bits - 5, 29 << bits - 5, (1 << bits) - 500):
        values = [magnitude(law, key, bits) for key in range(start, start + 500)]
        assert all(after >= before * (1.0 - ulps * 2.0**-52) for before, after in itertools.pairwise(values))


@pytest.mark.parametrize("exponent", [1, 5, 10, 16])
def test_the_tail_is_as_accurate_as_the_complement(exponent):
    complement = 10.0**-exponent
    laplace = Laplace.magnitude(1.0 - complement, complement)
    assert math.exp(-math.sqrt(2.0) * laplace) == pytest.approx(complement, rel=1e-13)
    gauss = Gaussian.magnitude(1.0 - complement, complement)
    assert math.erfc(gauss / math.sqrt(2.0)) == pytest.approx(complement, rel=1e-12)


@pytest.mark.parametrize("law", DISTRIBUTIONS, ids=lambda law: law.name)
def test_standard_deviation_by_quadrature(law):
    # Var = E m^2 with m the magnitude; the substitution u = 1 - c puts the singularity of the tail at c = 0.
    second_moment, error = integrate.quad(lambda c: law.magnitude(1.0 - c, c) ** 2, 0.0, 1.0, limit=200)
    assert error < 1e-7
    assert law().std == pytest.approx(math.sqrt(second_moment), rel=1e-8)


def test_known_quantiles():
    assert Uniform.magnitude(0.25, 0.75) == 0.25
    assert Gaussian.magnitude(0.6826894921370859, 0.3173105078629141) == pytest.approx(1.0, rel=1e-14)
    assert Laplace.magnitude(0.5, 0.5) == pytest.approx(math.log(2.0) / math.sqrt(2.0), rel=1e-15)
    assert Rademacher.magnitude(0.1, 0.9) == 1.0
    assert (Rademacher.magnitude_cdf(0.999), Rademacher.magnitude_cdf(1.0)) == (0.0, 1.0)
    assert (Uniform.magnitude_cdf(-1.0), Uniform.magnitude_cdf(2.0)) == (0.0, 1.0)


@pytest.mark.parametrize("law", DISTRIBUTIONS, ids=lambda law: law.name)
def test_scale_divides_by_the_root_of_the_larger_width(law):
    assert law(K=3.0).scale(16, 9) == law(K=3.0).scale(9, 16) == 0.75
    assert np.isclose(law().scale(1, 1), 1.0)


@pytest.mark.parametrize("constant", [0.0, -1.0, math.inf, math.nan])
def test_a_bad_constant_is_refused(constant):
    with pytest.raises(InputError, match="K must be positive and finite, got"):
        Uniform(K=constant)
