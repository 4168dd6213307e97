"""Brackets of explicit pairs against brute force, against studies of the same networks, and in exact cases."""

import dataclasses

import numpy as np
import pytest

import simprune
from simprune.backends.reference import ReferenceBackend
from simprune.bracket.gap import GapMethod, network_gap
from simprune.bracket.masks import prune_masks, spec_of
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import CentredSigmoid, Identity, LeakyReLU, ReLU, Sigmoid, Tanh
from simprune.model.chain import Chain
from simprune.model.errors import InputError
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, GlobalMaxPool, MaxPool
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.trained.formats import masked
from simprune.trained.network import TrainedNetwork
from tests.bracket.slow import brute_sup, output
from tests.trained.networks import filled

ACTIVATIONS = [ReLU(), LeakyReLU(slope=0.2), Tanh(), Sigmoid(), CentredSigmoid(), Identity()]
FEW = GapMethod(restarts=16, steps=60)


def dense(widths, activation, *, dtype=np.float64, seed=0):
    layers = tuple(Dense(width=width) for width in widths[1:])
    return filled(Chain(input=widths[:1], layers=layers), activation, dtype, seed)


def half(network, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    return masked(network, [rng.random(w.shape) > share for w in network.weights])


def changed(network, size, seed=5):
    """Other weights and biases everywhere."""
    rng = np.random.default_rng(seed)
    moved = [tuple(a + size * rng.standard_normal(a.shape) for a in part) for part in (network.weights, network.biases)]
    return TrainedNetwork(
        weights=moved[0], biases=moved[1], origin="changed", chain=network.chain, activation=network.activation
    )


def check(target, pruned, activation, *, center, radius, at_least=0.98):
    found = network_gap(target, pruned, radius=radius, center=center, method=FEW)
    sup = brute_sup(target, pruned, activation, center=center, radius=radius)
    assert found.lower <= found.upper
    assert sup <= found.upper * (1 + 1e-9)
    assert found.lower >= at_least * sup
    assert np.linalg.norm(found.witness - center) <= radius * (1 + 1e-15)
    at = np.linalg.norm(output(pruned, activation, found.witness) - output(target, activation, found.witness))
    assert abs(at - found.attained) <= found.noise + 1e-12 * (1 + found.output_norm)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.name)
@pytest.mark.parametrize("widths", [(3, 5, 2), (4, 6, 5, 3)], ids=str)
@pytest.mark.parametrize("kind", ["masked", "changed", "shifted"])
def test_the_brute_forced_supremum_lies_within_the_bracket(activation, widths, kind):
    target = dense(widths, activation)
    center, radius = np.zeros(widths[0]), 1.0
    if kind == "shifted":
        center, radius = np.linspace(-1.0, 0.7, widths[0]), 0.6
    pruned = changed(target, 0.05) if kind == "changed" else half(target)
    check(target, pruned, activation, center=center, radius=radius)


def small_cnn(activation, last=0, *, circular=False):
    pools = [
        (AveragePool(kernel=(2, 2), stride=(1, 1)), Flatten(), Dense(width=2)),
        (MaxPool(kernel=(1, 2), stride=(1, 1)), Flatten(), Dense(width=2)),
        (Conv2d(channels=2, kernel=(2, 1), stride=(1, 2), groups=2), GlobalMaxPool(), Flatten(), Dense(width=2)),
    ]
    first = Conv2d(channels=2, kernel=(2, 3), padding=(0, 1), circular=circular)
    return filled(Chain(input=(1, 2, 2) if last < 1 else (1, 3, 3), layers=(first, *pools[last])), activation, np.float64, 3)


@pytest.mark.slow
@pytest.mark.parametrize("activation", [ReLU(), Tanh()], ids=lambda a: a.name)
@pytest.mark.parametrize("last", [1, 2])
@pytest.mark.parametrize("circular", [False, True])
def test_convolutions_and_pooling(activation, last, circular):
    target = small_cnn(activation, last, circular=circular)
    center = np.linspace(-0.5, 0.5, 9)
    found = check(target, changed(target, 0.05), activation, center=center, radius=0.5, at_least=0.9)
    assert set(found.certificates) == {"spectral"}


@pytest.mark.slow
def test_pooling_before_the_first_weights():
    chain = Chain(input=(1, 2, 2), layers=(MaxPool(kernel=(1, 2), stride=(1, 1)), Flatten(), Dense(width=3), Dense(width=2)))
    target = filled(chain, ReLU(), np.float64)
    check(target, changed(target, 0.05), ReLU(), center=np.linspace(-0.5, 0.5, 4), radius=0.7, at_least=0.95)


@pytest.mark.slow
@pytest.mark.parametrize("activation", [ReLU(), Tanh(), Identity()], ids=lambda a: a.name)
def test_a_study_of_the_same_network_and_masks_has_the_same_bounds(activation):
    target = dense((6, 9, 8, 4), activation, dtype=np.float32)
    rule = RandomPruning(pruned_fraction=0.2)
    point = Point(
        network=spec_of(target, None),
        rule=rule,
        estimators=(Ascent(restarts=16, steps=60), Spectral()),
        seed=4,
        precision="float32",
    )
    (row,) = ReferenceBackend().run(Block(points=(point,), first=0, stop=1, trained=target))
    pruned = masked(target, prune_masks(target, rule, seed=4))
    found = network_gap(target, pruned, method=GapMethod(restarts=16, steps=60, seed=4))
    assert found.certificates["spectral"] == pytest.approx(row.columns["gap_upper"][0], rel=5e-3)
    assert found.lower == pytest.approx(row.columns["gap_lower"][0], rel=1e-2)


@pytest.mark.slow
def test_equal_networks_have_no_gap_and_affine_ones_a_sharp_bracket():
    target = dense((5, 6, 4), ReLU())
    same = network_gap(target, target)
    assert (same.lower, same.upper) == (0.0, 0.0)
    linear = dense((5, 6, 4), Identity())
    found = network_gap(linear, half(linear), center=np.ones(5), radius=2.0)
    assert found.lower <= found.upper <= found.certificates["affine"]
    without = dataclasses.replace(linear, biases=tuple(np.zeros_like(b) for b in linear.biases))
    found = network_gap(without, half(without))
    assert found.upper == pytest.approx(found.lower, rel=3e-3)


@pytest.mark.slow
def test_the_witness_attains_the_value_and_a_point_is_bracketed_exactly():
    target = dense((4, 7, 3), Tanh())
    pruned = half(target)
    found = network_gap(target, pruned, radius=1.5, center=[0.1, 0.2, 0.3, -0.4])
    again = network_gap(target, pruned, radius=0.0, center=found.witness)
    assert again.lower <= found.attained <= again.upper
    assert again.upper - again.lower <= 3 * again.noise
    assert again.attained == found.attained


@pytest.mark.slow
def test_differences_that_float64_cannot_hold_are_accounted_for():
    target = dense((3, 4, 2), ReLU())
    tiny = TrainedNetwork(
        weights=tuple(w + 1e-14 * w for w in target.weights),
        biases=target.biases,
        origin="tiny",
        chain=target.chain,
        activation=target.activation,
    )
    small = TrainedNetwork(
        weights=(target.weights[0] * 1e-17, target.weights[1]),
        biases=target.biases,
        origin="small",
        chain=target.chain,
        activation=target.activation,
    )
    for pruned in (tiny, small):
        found = network_gap(target, pruned)
        sup = brute_sup(target, pruned, ReLU(), center=np.zeros(3), radius=1.0, rounds=10)
        assert found.lower <= found.upper
        assert sup <= found.upper + 1e-15
    assert network_gap(target, small).lower > 0.1


@pytest.mark.slow
def test_the_bracket_is_the_same_bits_again_and_with_other_certificates_only_the_upper_side_moves():
    target = dense((8, 16, 16, 4), ReLU(), dtype=np.float32)
    pruned = masked(target, prune_masks(target, MagnitudePruning(pruned_fraction=0.2)))
    first, second = network_gap(target, pruned), network_gap(target, pruned)
    assert first.to_dict() == second.to_dict()
    plain = network_gap(target, pruned, method=GapMethod(certificate="spectral"))
    assert set(plain.certificates) == {"spectral"}
    assert plain.lower == first.lower
    assert first.upper < plain.upper


def test_unfit_pairs_and_balls_are_refused():
    target = dense((3, 4, 2), ReLU())
    with pytest.raises(InputError, match="must have the layers of"):
        network_gap(target, dense((3, 5, 2), ReLU()))
    with pytest.raises(InputError, match="the activation must be that of"):
        network_gap(target, dense((3, 4, 2), Tanh()))
    with pytest.raises(InputError, match="must be known"):
        network_gap(dense((3, 2), None), dense((3, 2), None))
    with pytest.raises(InputError, match="center must have the 3 numbers"):
        network_gap(target, target, center=np.zeros(4))
    with pytest.raises(InputError, match="radius must be finite"):
        network_gap(target, target, radius=-1.0)
    with pytest.raises(InputError, match="certificate must be one of"):
        GapMethod(certificate="none")
    with pytest.raises(InputError, match="needs matrices alone"):
        simprune.network_gap(*[dense((3, 4, 2), Sigmoid())] * 2, method=GapMethod(certificate="semidefinite"))
