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
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.theory.bounds import apriori_bound, bound_of_counts, network_bound
from simprune.theory.closed_form import closed_form, sufficient_width
from simprune.theory.minimal_width import minimal_network_width, minimal_width
from simprune.theory.promise import promise
from simprune.theory.promise_text import promise_text

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
        found = minimal_network_width(network(8, depth), rule(alpha=alpha), epsilon=epsilon, delta=DELTA)
        assert found.width == pytest.approx(width, rel=0.006, abs=1)
        assert found.proved_from >= found.width


@pytest.mark.parametrize(("alpha", "expected"), [(0.3, 65), (0.5, 17), (0.7, 9)])
def test_minimal_hidden_widths_with_fixed_ends(alpha, expected):
    net = NetworkSpec(widths=(784, 64, 64, 10), activation=ReLU(), target=network(8, 2).target)
    found = minimal_network_width(net, MagnitudePruning(alpha=alpha), epsilon=0.1, delta=DELTA, fixed_ends=True)
    assert found.width == pytest.approx(expected, abs=1)
    assert found.proved_from is None


@pytest.mark.parametrize("law", [Uniform(), Gaussian(), Laplace(), Rademacher()], ids=lambda law: law.name)
@pytest.mark.parametrize("rule", [MagnitudePruning, RandomPruning, BernoulliPruning], ids=lambda rule: rule.name)
@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_bounds_fail_no_more_often_than_promised(law, rule, alpha):
    # 24 cells of 5 binomial tests at 1e-4 each: a false alarm in fewer than 1 of 80 runs with fresh seeds
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


def test_the_closed_form_lies_above_and_its_envelope_falls():
    for depth in (2, 3):
        for rule in (MagnitudePruning, RandomPruning):
            for alpha in (0.1, 0.3, 0.5):
                form = closed_form(network(8, depth), rule(alpha=alpha), delta=DELTA)
                values = [form.envelope(1 << power) for power in range(3, 40)]
                assert values == sorted(values, reverse=True)
                assert all(form.gap((1 << power) + 3) <= form.envelope((1 << power) + 3) for power in range(3, 34))
                assert form.gap(256) >= apriori_bound(network(256, depth), rule(alpha=alpha), delta=DELTA).gap


@pytest.mark.parametrize("law", [Uniform(), Gaussian()], ids=lambda law: law.name)
def test_every_width_from_the_proved_one_on_meets_epsilon(law):
    form = closed_form(network(8, 3, law), MagnitudePruning(alpha=0.3), delta=DELTA)
    first = form.width(0.1)
    assert form.envelope(first) <= 0.1 < form.envelope(first - 1)
    assert all(form.gap(d) <= 0.1 for d in range(first, first + 300))


def test_closed_form_widths_are_those_of_the_planning_code():
    # theory.md 2.7: the least power of two whose closed form, and that of twice the width, is at most epsilon
    found = {}
    for alpha in (0.1, 0.3, 0.5, 0.7):
        form = closed_form(network(8, 2), MagnitudePruning(alpha=alpha), delta=DELTA)
        powers = range(1, 60)
        found[alpha] = [next(j for j in powers if form.gap(1 << j) <= e and form.gap(2 << j) <= e) for e in (0.5, 0.1, 0.01)]
    assert found == {0.1: [12, 19, 30], 0.3: [7, 9, 12], 0.5: [5, 7, 9], 0.7: [5, 6, 7]}


def test_the_one_line_condition_is_enough():
    for depth in (1, 2, 3):
        for alpha in (0.3, 0.5, 0.7):
            form = closed_form(network(8, depth), MagnitudePruning(alpha=alpha), delta=DELTA)
            width = sufficient_width(form, 0.1)
            assert all(form.gap(width << j) <= 0.1 for j in range(6))
    random = closed_form(network(8, 2), RandomPruning(alpha=0.5), delta=DELTA)
    assert sufficient_width(random, 0.1) is None


def test_no_closed_form_where_none_is_derived():
    rule = MagnitudePruning(alpha=0.3)
    assert closed_form(network(8, 2, Laplace()), rule, delta=DELTA) is None
    assert closed_form(network(8, 2, Rademacher()), rule, delta=DELTA) is None
    assert closed_form(network(8, 2, activation=Sigmoid()), rule, delta=DELTA) is None
    assert closed_form(network(8, 2), MagnitudePruning(pruned_fraction=0.1), delta=DELTA) is None


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
    assert "VACUOUS" in promise_text(told)
    assert not promise(network(64, 3), MagnitudePruning(alpha=0.5), delta=DELTA).bound.is_vacuous


def test_a_value_at_zero_costs_a_root_of_the_width():
    plain = apriori_bound(network(256, 2, activation=Sigmoid()), MagnitudePruning(alpha=0.3), delta=DELTA)
    wider = apriori_bound(network(1024, 2, activation=Sigmoid()), MagnitudePruning(alpha=0.3), delta=DELTA)
    assert plain.output_norm > 0.5 * np.sqrt(256)
    assert wider.output_norm > 1.9 * plain.output_norm


def test_refused_questions():
    trained = NetworkSpec(widths=(8, 8), activation=ReLU(), target=FixedTarget(sha256="ab" * 32))
    with pytest.raises(InputError, match="random weights, got a trained network"):
        apriori_bound(trained, MagnitudePruning(alpha=0.3), delta=DELTA)
    with pytest.raises(InputError, match="one norm for each of the 2 layers, got 1"):
        apriori_bound(network(8, 2), MagnitudePruning(alpha=0.3), delta=DELTA, bias_norms=(1.0,))
    with pytest.raises(InputError, match="fixed ends need a hidden layer"):
        minimal_network_width(network(8, 1), MagnitudePruning(alpha=0.3), epsilon=0.1, delta=DELTA, fixed_ends=True)
    with pytest.raises(InputError, match="prunable counts need the tolerated gap"):
        promise(network(8, 2), MagnitudePruning(alpha=0.3), delta=DELTA, counts=True)
    with pytest.raises(InputError, match="delta must lie in"):
        apriori_bound(network(8, 2), MagnitudePruning(alpha=0.3), delta=1.0)
    with pytest.raises(InputError, match="epsilon must be positive"):
        promise(network(8, 2), MagnitudePruning(alpha=0.3), delta=DELTA, epsilon=0.0)


def test_the_minimal_width_may_not_exist():
    assert minimal_width(lambda _: 1.0, 0.5, largest=64).width is None
    assert minimal_width(lambda _: 0.1, 0.5, largest=64).width == 1
    found = minimal_width(lambda d: 100.0 / d, 0.5, largest=4096)
    assert (found.width, found.scanned) == (200, 4096)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_budget_is_itemised_to_the_last_event(depth):
    bound = apriori_bound(network(64, depth), MagnitudePruning(alpha=0.5), delta=DELTA)
    assert len(bound.events) == (2 * depth if bound.option == 1 else 3 * depth - 2)
    assert sum(event.bound.delta for event in bound.events) == pytest.approx(DELTA, rel=1e-12)
    named = {(event.layer, event.quantity): event.bound.value for event in bound.events}
    assert len(named) == len(bound.events)
    assert all(named[layer, "||Delta||"] == value for layer, value in enumerate(bound.delta_norms))


def test_option_2_is_the_sum_of_the_layers_parts():
    bound = apriori_bound(network(64, 3), RandomPruning(alpha=0.1), delta=DELTA)
    assert bound.option == 2
    a, e = bound.target_norms, bound.delta_norms
    assert bound.gap == pytest.approx(a[2] * a[1] * e[0] + a[2] * e[1] * a[0] + e[2] * a[1] * a[0], rel=1e-9)


def test_biases_enlarge_the_hidden_vectors_only():
    rule = MagnitudePruning(alpha=0.5)
    none = apriori_bound(network(64, 2), rule, delta=DELTA, bias_norms=(0.0, 0.0))
    last = apriori_bound(network(64, 2), rule, delta=DELTA, bias_norms=(0.0, 3.0))
    first = apriori_bound(network(64, 2), rule, delta=DELTA, bias_norms=(3.0, 0.0))
    assert none.gap == last.gap == apriori_bound(network(64, 2), rule, delta=DELTA).gap
    assert last.output_norm == pytest.approx(none.output_norm + 3.0, rel=1e-9)
    a, e = first.target_norms, first.delta_norms
    assert first.gap == pytest.approx(a[1] * e[0] + e[1] * (a[0] + 3.0), rel=1e-9)


def test_the_semi_empirical_bound_holds_for_sampled_matrices():
    rng = np.random.default_rng(5)
    net = NetworkSpec(widths=(6, 9, 5), activation=Sigmoid(), target=network(8, 2).target)
    for _ in range(20):
        target = [rng.uniform(-1, 1, shape) for shape in net.shapes]
        pruned = [w * (rng.uniform(size=w.shape) < 0.7) for w in target]
        moved = [w - v for w, v in zip(target, pruned, strict=True)]
        norms = [[np.linalg.norm(w, 2) for w in ws] for ws in (target, pruned, moved)]
        x = rng.normal(size=(6, 500))
        x /= np.linalg.norm(x, axis=0)
        outputs = [ws[1] @ (1.0 / (1.0 + np.exp(-(ws[0] @ x)))) for ws in (target, pruned)]
        assert np.linalg.norm(outputs[0] - outputs[1], axis=0).max() <= network_bound(net, *norms)


def test_counts_and_amounts_give_the_same_bound():
    rule, net = RandomPruning(alpha=0.4), network(50, 3)
    counts = tuple(rule.n_pruned(n, i) for i, n in enumerate(net.n_weights))
    assert bound_of_counts(net, RandomPruning(alpha=0.9), counts, delta=DELTA) == apriori_bound(net, rule, delta=DELTA)


def test_more_pruning_never_promises_less():
    for rule in (MagnitudePruning, RandomPruning):
        for law in (Uniform(), Gaussian(), Laplace(), Rademacher()):
            fractions = (0.001, 0.01, 0.1, 0.3, 0.6, 0.9, 1.0)
            gaps = [apriori_bound(network(20, 2, law), rule(pruned_fraction=f), delta=DELTA).gap for f in fractions]
            assert gaps == sorted(gaps)


def test_huge_widths_have_finite_bounds():
    for law in (Uniform(), Gaussian(), Laplace()):
        net = network(1 << 40, 2, law)
        gap = apriori_bound(net, MagnitudePruning(alpha=0.3), delta=DELTA).gap
        assert 0.0 < gap < 1e-8
        assert gap < apriori_bound(network(1 << 30, 2, law), MagnitudePruning(alpha=0.3), delta=DELTA).gap
