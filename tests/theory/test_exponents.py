"""Exponents against their table, and against simulated matrices."""

import numpy as np
import pytest

from simprune.model.activations import CentredSigmoid, ReLU, Sigmoid
from simprune.model.distributions import AbstractDistribution, Gaussian, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import AbstractPruningRule, BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.theory.exponents import Exponents, all_widths, gap_exponents, hidden_widths


def network(depth: int = 3, *, activation: object = None, law: AbstractDistribution | None = None) -> NetworkSpec:
    return NetworkSpec(
        widths=(64,) * (depth + 1),
        activation=activation or ReLU(),
        target=SampledTarget(distribution=law or Uniform()),
    )


def exponents(rule: AbstractPruningRule, *, growing: tuple[bool, ...] = all_widths(3), **of: object) -> Exponents:
    return gap_exponents(network(len(growing) - 1, **of), rule, growing=growing)


@pytest.mark.parametrize(
    ("alpha", "magnitude", "random"), [(0.1, 0.3, 0.1), (0.3, 0.9, 0.3), (0.5, 1.5, 0.5), (0.7, 1.9, 0.5)]
)
def test_square_networks(alpha: float, magnitude: float, random: float) -> None:
    found = exponents(MagnitudePruning(alpha=alpha))
    assert (found.theorem1, found.sharp, found.latala) == (alpha, pytest.approx(magnitude), pytest.approx(2.5 * alpha))
    for rule in (RandomPruning(alpha=alpha), BernoulliPruning(alpha=alpha)):
        found = exponents(rule)
        assert (found.theorem1, found.sharp, found.latala) == (None, pytest.approx(random), pytest.approx(alpha / 2))


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.8])
def test_fixed_ends_halve_the_exponents_of_the_layers_and_add_that_of_the_network(alpha: float) -> None:
    """scripts/verify fits 0.72, 1.09, 1.38 and 0.63, 0.74, 0.85 for alpha = 0.1, 0.3, 0.5 to 16-d-d-10, d = 64 .. 1024."""
    found = exponents(MagnitudePruning(alpha=alpha), growing=hidden_widths(3))
    assert (found.theorem1, found.latala) == (alpha, pytest.approx(1.5 * alpha))
    assert found.sharp == pytest.approx(1.5 * alpha + 0.5)
    found = exponents(RandomPruning(alpha=alpha), growing=hidden_widths(3))
    assert (found.theorem1, found.sharp) == (None, pytest.approx(alpha / 2 + 0.5))


@pytest.mark.parametrize(
    ("growing", "lost"),
    [
        ((False, True, False), 0.5),
        ((False, True, False, True, False), 1.0),
        ((False, True, True), 0.0),
        ((True, False, True, False), 0.5),
        ((True, False), 0.0),
        ((True, True, True, False), 0.0),
    ],
)
def test_a_network_loses_a_half_between_fixed_widths(growing: tuple[bool, ...], lost: float) -> None:
    assert exponents(RandomPruning(alpha=0.2), growing=growing).sharp == pytest.approx(0.1 + lost)
    assert exponents(RandomPruning(pruned_fraction=0.2), growing=growing).sharp == pytest.approx(lost)


@pytest.mark.parametrize("rule", [MagnitudePruning(alpha=0.4), RandomPruning(alpha=0.4)], ids=lambda rule: rule.name)
def test_simulated_gaps_between_fixed_widths(rule: AbstractPruningRule) -> None:
    """Exact gaps of linear networks 4-d-4; the layers' norms alone would make the exponent smaller by 0.5."""
    rng, widths, medians = np.random.default_rng(3), (256, 1024, 4096), []
    for d in widths:
        gaps = []
        for _ in range(60):
            full = kept = np.eye(4)
            for shape in ((d, 4), (4, d)):
                w = rng.uniform(-1, 1, shape) / np.sqrt(d)
                ranks = (rng.random(w.size) if rule.is_random else np.abs(w).ravel()).argsort().argsort()
                full, kept = w @ full, w * (ranks >= rule.n_pruned(w.size, 0)).reshape(shape) @ kept
            gaps.append(np.linalg.norm(full - kept, 2))
        medians.append(np.median(gaps))
    fitted = -np.polyfit(np.log(widths), np.log(medians), 1)[0]
    # the slope's standard error is about 0.02
    assert fitted == pytest.approx(exponents(rule, growing=hidden_widths(2)).sharp, abs=0.1)


def test_a_layer_whose_sides_do_not_grow_stops_the_gap_from_vanishing() -> None:
    found = exponents(MagnitudePruning(alpha=0.3), growing=(False, False, True, True))
    assert (found.theorem1, found.sharp) == (None, 0.0)
    assert "both fixed" in found.regime


@pytest.mark.parametrize("rule", [MagnitudePruning(pruned_fraction=0.1), RandomPruning(pruned_fraction=(0.0, 0.0, 0.2))])
def test_constant_fraction_does_not_vanish(rule: AbstractPruningRule) -> None:
    found = exponents(rule)
    assert (found.theorem1, found.sharp) == (None, 0.0)
    assert "does NOT vanish" in found.regime
    assert exponents(rule, activation=Sigmoid()).sharp == -0.5


def test_nothing_pruned_has_no_exponent() -> None:
    found = exponents(MagnitudePruning(pruned_fraction=0.0))
    assert found.sharp is None
    assert "exactly 0" in found.regime


def test_theorem_1_is_claimed_for_uniform_weights_and_one_alpha_only() -> None:
    assert exponents(MagnitudePruning(alpha=0.3), law=Gaussian()).theorem1 is None
    assert exponents(MagnitudePruning(alpha=0.3), law=Gaussian()).sharp == pytest.approx(0.9)
    mixed = exponents(MagnitudePruning(alpha=(0.3, 0.1, 0.4)))
    assert (mixed.theorem1, mixed.sharp, mixed.latala) == (None, pytest.approx(0.3), pytest.approx(0.25))


@pytest.mark.parametrize(("alpha", "at_zero"), [(0.05, -0.35), (0.1, -0.2), (0.25, 0.25), (0.4, 0.7)])
def test_a_value_at_zero_breaks_the_rate_of_wide_outputs(alpha: float, at_zero: float) -> None:
    """The slopes +.356, +.214, -.262, -.710 of the gap at x = 0 were measured for three sigmoid layers."""
    rule = MagnitudePruning(alpha=alpha)
    found = exponents(rule, activation=Sigmoid())
    assert (found.theorem1, found.sharp) == (None, pytest.approx(at_zero))
    assert exponents(rule, activation=Sigmoid(), growing=hidden_widths(3)).sharp == pytest.approx(1.5 * alpha)
    assert exponents(rule, activation=CentredSigmoid()).sharp == pytest.approx(3 * alpha)
    assert exponents(rule, activation=Sigmoid(), growing=all_widths(1)).sharp == pytest.approx(3 * alpha)


def test_tied_magnitudes_and_trained_networks_claim_nothing() -> None:
    assert exponents(MagnitudePruning(alpha=0.3), law=Rademacher()).sharp is None
    assert exponents(RandomPruning(alpha=0.3), law=Rademacher()).sharp == pytest.approx(0.3)
    fixed = NetworkSpec(widths=(4, 4), activation=ReLU(), target=FixedTarget(sha256="0" * 64))
    assert gap_exponents(fixed, MagnitudePruning(alpha=0.3), growing=(True, True)).sharp is None


@pytest.mark.parametrize("growing", [(True,), (False,) * 4])
def test_flags_must_fit_the_network(growing: tuple[bool, ...]) -> None:
    with pytest.raises(InputError, match="one flag for each of the 4 widths"):
        gap_exponents(network(), MagnitudePruning(alpha=0.3), growing=growing)


@pytest.mark.parametrize("rule", [MagnitudePruning(alpha=0.1), MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.3)])
def test_norms_of_simulated_layers_fall_with_the_sharp_exponent(rule: AbstractPruningRule) -> None:
    """Mean of 12 norms a width; finite-width bias is below 0.05 and chance below 0.02, so 0.1 never fails by chance."""
    rng = np.random.default_rng(3)
    widths, norms = (32, 64, 128), []
    for d in widths:
        sizes = []
        for _ in range(12):
            w = rng.uniform(-1.0, 1.0, d * d) / np.sqrt(d)
            score = rng.random(d * d) if rule.is_random else np.abs(w)
            kept = np.argsort(score)[rule.n_pruned(d * d, 0) :]
            w[kept] = 0.0
            sizes.append(np.linalg.norm(w.reshape(d, d), 2))
        norms.append(np.mean(sizes))
    slope = -np.polyfit(np.log(widths), np.log(norms), 1)[0]
    assert slope == pytest.approx(exponents(rule, growing=all_widths(1)).sharp, abs=0.1)
