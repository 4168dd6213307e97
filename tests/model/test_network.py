"""Shapes of networks, their errors, and their JSON form."""

import pytest

from simprune.model.activations import ACTIVATIONS, Identity, LeakyReLU, ReLU
from simprune.model.distributions import DISTRIBUTIONS, Uniform
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget

TARGET = SampledTarget(distribution=Uniform())


def test_shapes_of_a_network():
    network = NetworkSpec(widths=(3, 5, 2), activation=ReLU(), target=TARGET)
    assert (network.depth, network.shapes, network.n_weights) == (2, ((5, 3), (2, 5)), (15, 10))
    assert network.distribution == Uniform()
    assert not network.is_linear


def test_what_is_linear():
    assert NetworkSpec(widths=(3, 5), activation=ReLU(), target=TARGET).is_linear
    assert NetworkSpec(widths=(3, 5, 5), activation=Identity(), target=TARGET).is_linear
    assert not NetworkSpec(widths=(3, 5, 5), activation=LeakyReLU(slope=1.0), target=TARGET).is_linear


@pytest.mark.parametrize(
    ("widths", "sentence"),
    [
        ((), "at least input and output"),
        ((4,), "at least input and output"),
        ((4, 0), r"every width must lie in 1\.\.1099511627776, got width 0"),
        ((4, -1, 4), "got width -1"),
        ((4, 2**40 + 1), "got width 1099511627777"),
    ],
)
def test_bad_widths_are_refused_in_a_sentence(widths, sentence):
    with pytest.raises(InputError, match=sentence):
        NetworkSpec(widths=widths, activation=ReLU(), target=TARGET)


def test_bounds_may_be_asked_of_networks_that_are_too_large_to_sample():
    huge = NetworkSpec(widths=(2**20, 2**20), activation=ReLU(), target=TARGET)
    with pytest.raises(InputError, match=r"at most 2\^33 weights, got 1099511627776"):
        huge.check_size()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("law", DISTRIBUTIONS)
def test_a_network_comes_back_from_its_json_form(activation, law):
    target = SampledTarget(distribution=law(K=1.5))
    network = NetworkSpec(widths=(2, 3, 4), activation=activation(), target=target)
    assert NetworkSpec.from_dict(network.to_dict()) == network


def test_a_fixed_target_comes_back_from_its_json_form():
    network = NetworkSpec(widths=(2, 3), activation=LeakyReLU(slope=0.2), target=FixedTarget(sha256="ab" * 32))
    assert NetworkSpec.from_dict(network.to_dict()) == network
    assert network.distribution is None


def test_specs_compare_and_hash_by_value():
    def spec(slope):
        return NetworkSpec(widths=(2, 3), activation=LeakyReLU(slope=slope), target=TARGET)

    assert len({spec(0.1), spec(0.1), spec(0.2)}) == 2
