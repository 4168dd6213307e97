"""What the reference backend refuses, and its error analysis at kinks."""

import numpy as np
import pytest

from simprune.backends.reference import ReferenceBackend
from simprune.backends.reference_bounds import bend
from simprune.model.activations import Identity, LeakyReLU, ReLU, Tanh
from simprune.model.errors import InputError
from tests.conformance.cases import point, trained_network

TRIALS = np.arange(2, dtype=np.int64)


def test_a_fixed_target_needs_its_own_weights():
    trained, other = trained_network((3, 4)), trained_network((3, 4), seed=9)
    case = point((3, 4), trained=trained)
    with pytest.raises(InputError, match="must come with the weights that its sha256 names, got none"):
        ReferenceBackend().open(case, TRIALS, None)
    with pytest.raises(InputError, match="got made up; load that file"):
        ReferenceBackend().open(case, TRIALS, other)


def test_a_fixed_target_has_the_widths_of_its_file():
    trained = trained_network((3, 4))
    with pytest.raises(InputError, match=r"those of made up, widths \[3, 4\], got \[3, 5\]"):
        ReferenceBackend().open(point((3, 5), trained=trained), TRIALS, trained)


def test_an_error_of_z_bends_only_what_touches_the_kink():
    z = np.array([1.0, 1.0, -1.0, 1e-9, 0.5])
    dz = np.array([0.5, -2.0, 0.5, 0.1, -0.5])
    error = np.full(5, 1e-8)
    np.testing.assert_array_equal(bend(ReLU(), z, dz, error), [0.0, 1e-8, 0.0, 1e-8, 1e-8])
    np.testing.assert_array_equal(bend(Identity(), z, dz, error), np.zeros(5))
    np.testing.assert_allclose(bend(Tanh(), z, dz, error), Tanh().curvature * error * np.abs(dz))
    np.testing.assert_array_equal(bend(ReLU(), z, np.zeros(5), error), np.zeros(5))


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(slope=0.3), Tanh()], ids=lambda a: a.name)
def test_the_bend_bounds_what_a_shift_of_z_does(activation):
    rng = np.random.default_rng(5)
    z, dz = (
        rng.normal(size=2000) * 10.0 ** rng.uniform(-6, 0, 2000),
        rng.normal(size=2000) * 10.0 ** rng.uniform(-6, 0, 2000),
    )
    error = 10.0 ** rng.uniform(-6, -1, 2000)
    bound = bend(activation, z, dz, error)
    for shift in (-1.0, -0.3, 0.5, 1.0):
        pairs = zip(z.tolist(), dz.tolist(), (z + shift * error).tolist(), strict=True)
        changes = [activation.difference(b, d, 0.3) - activation.difference(a, d, 0.3) for a, d, b in pairs]
        assert np.all(np.abs(changes) <= bound * (1.0 + 1e-12) + 1e-15)
    assert np.count_nonzero(bound) > 200
