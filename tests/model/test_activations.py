"""Activations: value, exact finite difference, derivative, and the constants that bounds rely on."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simprune.model.activations import ACTIVATIONS, Identity, LeakyReLU, ReLU, Tanh
from simprune.model.errors import InputError

SPECS = [cls() for cls in ACTIVATIONS] + [LeakyReLU(slope=0.0), LeakyReLU(slope=0.3), LeakyReLU(slope=1.0)]
KINKED = (ReLU, LeakyReLU)
LINEAR = (*KINKED, Identity)
EPS = 2.0**-52
each_spec = pytest.mark.parametrize("spec", SPECS, ids=repr)
entries = st.floats(-30.0, 30.0) | st.floats(-1e-3, 1e-3) | st.floats(-1e-12, 1e-12) | st.just(0.0)

KNOWN = {
    "identity": [(-2.0, -2.0), (3.0, 3.0)],
    "relu": [(-2.0, 0.0), (0.0, 0.0), (3.0, 3.0)],
    "leaky_relu": [(-2.0, -0.02), (3.0, 3.0)],
    "tanh": [(0.5, 0.46211715726000976), (-2.0, -0.9640275800758169)],
    "sigmoid": [(0.0, 0.5), (2.0, 0.8807970779778824), (-2.0, 0.11920292202211755)],
    "centred_sigmoid": [(0.0, 0.0), (2.0, 0.3807970779778824)],
}


def exact_difference(spec, z, dz):
    """s(z + dz) - s(z) in rational arithmetic (piecewise linear) or in extended precision (smooth)."""
    if isinstance(spec, LINEAR):
        slope = Fraction(1) if isinstance(spec, Identity) else Fraction(spec.parameter)
        first, last = Fraction(z), Fraction(z) + Fraction(dz)
        return float((last if last > 0 else slope * last) - (first if first > 0 else slope * first))
    half = np.longdouble(1.0) if isinstance(spec, Tanh) else np.longdouble(0.5)
    z, dz = half * np.longdouble(z), half * np.longdouble(dz)
    # tanh(a + b) - tanh(a) = sinh(b) / (cosh(a) cosh(a + b)): positive factors, nothing cancels.
    return float(half * np.sinh(dz) / (np.cosh(z) * np.cosh(z + dz)))


@pytest.mark.parametrize(("cls", "z", "value"), [(cls, z, v) for cls in ACTIVATIONS for z, v in KNOWN[cls.name]])
def test_known_values(cls, z, value):
    spec = cls()
    assert spec.scalar(z, spec.parameter) == pytest.approx(value, rel=1e-15, abs=0.0)


@each_spec
def test_value_at_zero(spec):
    assert spec.scalar(0.0, spec.parameter) == spec.value_at_zero


@each_spec
@given(z=entries, dz=entries)
@settings(max_examples=200, deadline=None)
def test_the_difference_is_exact_up_to_the_error_that_the_bounds_allow(spec, z, dz):
    found = spec.difference(z, dz, spec.parameter)
    assert abs(found - exact_difference(spec, z, dz)) <= 16 * EPS * spec.lipschitz * abs(dz) + 1e-320


@each_spec
@given(z=st.floats(-3.0, 3.0), dz=st.floats(-1e-3, 1e-3))
@settings(max_examples=200, deadline=None)
def test_the_difference_has_small_relative_error_away_from_saturation(spec, z, dz):
    wanted = exact_difference(spec, z, dz)
    assert spec.difference(z, dz, spec.parameter) == pytest.approx(wanted, rel=1e-12, abs=1e-320)


@each_spec
@given(z=entries, dz=entries)
@settings(max_examples=200, deadline=None)
def test_lipschitz_bound_and_monotonicity(spec, z, dz):
    change = spec.difference(z, dz, spec.parameter)
    assert abs(change) <= spec.lipschitz * abs(dz) * (1 + 8 * EPS)
    assert change == 0.0 or (change > 0.0) == (dz > 0.0)
    assert spec.difference(z, 0.0, spec.parameter) == 0.0
    assert abs(spec.scalar(z, spec.parameter)) <= spec.bound


@each_spec
def test_the_lipschitz_constant_is_attained(spec):
    slopes = [spec.derivative(z, spec.parameter) for z in np.linspace(-5.0, 5.0, 1001).tolist()]
    assert max(slopes) == pytest.approx(spec.lipschitz, rel=1e-12)
    assert min(slopes) >= 0.0


@each_spec
@pytest.mark.parametrize("z", [-7.0, -1.3, -0.4, 0.2, 1.0, 6.0])
def test_derivative_by_central_difference(spec, z):
    h = 1e-5
    slope = (exact_difference(spec, z, h) - exact_difference(spec, z, -h)) / (2 * h)
    assert spec.derivative(z, spec.parameter) == pytest.approx(slope, rel=1e-8, abs=1e-12)


@each_spec
def test_curvature_is_the_supremum_of_the_second_derivative(spec):
    if isinstance(spec, Identity):
        assert (spec.curvature, spec.is_linear) == (0.0, True)
    elif isinstance(spec, KINKED):
        assert (spec.curvature, spec.is_linear) == (math.inf, False)
    else:
        grid = np.linspace(-4.0, 4.0, 4001).tolist()
        bends = [(spec.derivative(z + 1e-5, 0.0) - spec.derivative(z - 1e-5, 0.0)) / 2e-5 for z in grid]
        assert max(map(abs, bends)) == pytest.approx(spec.curvature, rel=1e-5)


@pytest.mark.parametrize("slope", [-0.1, 1.1, math.nan])
def test_a_slope_outside_its_range_is_refused(slope):
    with pytest.raises(InputError, match=r"slope of leaky_relu must lie in \[0, 1\], got"):
        LeakyReLU(slope=slope)
