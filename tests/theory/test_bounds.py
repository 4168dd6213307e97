import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

from simprune.backends.cpu import CpuBackend
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.activations import ReLU, Sigmoid
from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.theory.bounds import apriori_bound, closed_form
from simprune.theory.minimal_width import minimal_width
from simprune.theory.norms import gordon, moment_bound, sparse_bound
from simprune.theory.promise import promise

DELTA = 0.05


def network(d, depth, law=None, activation=None):
    target = SampledTarget(distribution=law or Uniform())
    return NetworkSpec(widths=(d,) * (depth + 1), activation=activation or ReLU(), target=target)


@pytest.mark.parametrize(
    ("rule", "depth", "alpha", "expected"),
    [
        (MagnitudePruning, 2, 0.3, (14, 62, 684)),
        (MagnitudePruning, 2, 0.5, (8, 19, 76)),
        (MagnitudePruning, 2, 0.7, (5, 12, 33)),
        (MagnitudePruning, 3, 0.3, (26, 115, 1308)),
        (MagnitudePruning, 4, 0.5, (16, 39, 153)),
        (RandomPruning, 2, 0.5, (135, 4336)),
        (RandomPruning, 3, 0.7, (217, 5472)),
    ],
)
def test_minimal_widths_are_those_of_the_planning_code(rule, depth, alpha, expected):
    # an independent prototype found these widths, to its 0.5 % bisection
    for epsilon, width in zip((0.5, 0.1, 0.01), expected, strict=False):
        found = minimal_width(
            lambda d: apriori_bound(network(d, depth), rule(alpha=alpha), delta=DELTA).gap, epsilon, largest=1 << 14
        )
        assert found.width == pytest.approx(width, rel=0.006, abs=1)


@pytest.mark.parametrize("law", [Uniform(), Gaussian(), Rademacher()], ids=lambda law: law.name)
@pytest.mark.parametrize("rule", [MagnitudePruning, RandomPruning, BernoulliPruning], ids=lambda rule: rule.name)
@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_bounds_fail_no_more_often_than_promised(law, rule, alpha):
    # 36 binomial tests at 1e-4 each: a false alarm in fewer than 1 of 270 runs of the whole test
    n = 60
    cell = Point(network=network(24, 2, law), rule=rule(alpha=alpha), estimators=(Sampled(samples=1), Spectral()), seed=2)
    (batch,) = CpuBackend().run(Block(points=(cell,), first=0, stop=n))
    bound = apriori_bound(cell.network, cell.rule, delta=DELTA)
    allowed = int(binom.isf(1e-4, n, DELTA))
    for layer in range(2):
        # certified norms lie up to 0.1 % above the norms
        assert np.sum(batch.columns["delta_norm"][:, layer] > 1.001 * bound.delta_norms[layer]) <= allowed
        assert np.sum(batch.columns["target_norm"][:, layer] > 1.001 * bound.target_norms[layer]) <= allowed
    assert np.sum(batch.columns["gap_upper"] > 1.003 * bound.gap) <= allowed


def test_bounds_are_close_to_the_norms_that_they_bound():
    norms = [np.linalg.norm(np.random.default_rng(i).uniform(-1, 1, (128, 128)), 2) for i in range(20)]
    assert np.mean(norms) < moment_bound(128, 128, 1.0, "uniform", delta=DELTA) < 1.07 * np.mean(norms)
    assert np.mean(norms) < gordon(128, 128, "uniform", delta=DELTA) < 1.25 * np.mean(norms)


def test_very_sparse_masks_are_bounded_by_their_degrees():
    assert sparse_bound(1000, 1000, 1, delta=DELTA) == 1.0
    assert sparse_bound(1000, 1000, 30, delta=DELTA) <= 2.0


def test_the_closed_form_lies_above_and_falls():
    for depth in (2, 3):
        for alpha in (0.1, 0.3, 0.5):
            values = [closed_form(1 << power, alpha, depth) for power in range(8, 30)]
            assert values == sorted(values, reverse=True)
            assert values[0] >= apriori_bound(network(256, depth), MagnitudePruning(alpha=alpha), delta=DELTA).gap


def test_nothing_pruned_promises_a_gap_of_zero():
    assert apriori_bound(network(10, 3), MagnitudePruning(pruned_fraction=0.0), delta=DELTA).gap == 0.0


def test_the_scale_enters_as_its_power():
    for depth in (1, 2, 3):
        one = apriori_bound(network(40, depth), MagnitudePruning(alpha=0.3), delta=DELTA).gap
        two = apriori_bound(network(40, depth, Uniform(K=2.0)), MagnitudePruning(alpha=0.3), delta=DELTA).gap
        assert two == pytest.approx(2.0**depth * one, rel=1e-9)


def test_vacuous_bounds_say_so():
    told = promise(network(64, 3), RandomPruning(alpha=0.1), delta=DELTA, epsilon=0.5)
    assert told.bound.is_vacuous
    assert "VACUOUS" in told.to_text()
    assert not promise(network(64, 3), MagnitudePruning(alpha=0.5), delta=DELTA).bound.is_vacuous


def test_a_value_at_zero_costs_a_root_of_the_width():
    plain = apriori_bound(network(256, 2, activation=Sigmoid()), MagnitudePruning(alpha=0.3), delta=DELTA)
    wider = apriori_bound(network(1024, 2, activation=Sigmoid()), MagnitudePruning(alpha=0.3), delta=DELTA)
    assert plain.output_norm > 0.5 * np.sqrt(256)
    assert wider.output_norm > 1.9 * plain.output_norm


def test_refused_questions():
    with pytest.raises(InputError, match="got laplace"):
        apriori_bound(network(8, 2, Laplace()), MagnitudePruning(alpha=0.3), delta=DELTA)
    with pytest.raises(InputError, match="delta must lie in"):
        apriori_bound(network(8, 2), MagnitudePruning(alpha=0.3), delta=1.0)
    with pytest.raises(InputError, match="epsilon must be positive"):
        promise(network(8, 2), MagnitudePruning(alpha=0.3), delta=DELTA, epsilon=0.0)


def test_the_minimal_width_may_not_exist():
    assert minimal_width(lambda _: 1.0, 0.5, largest=64).width is None
    assert minimal_width(lambda _: 0.1, 0.5, largest=64).width == 1
    assert dataclasses.asdict(minimal_width(lambda d: 100.0 / d, 0.5, largest=4096)) == {"width": 200, "scanned": 4096}
