"""A-priori bounds of convolutions: never violated beyond delta, close to the norms, and the network's bound made of them."""

import numpy as np
import pytest

from simprune.backends.reference import ReferenceBackend
from simprune.backends.reference_conv import written_out
from simprune.model.activations import ReLU
from simprune.model.chain import Chain
from simprune.model.distributions import Gaussian, Laplace, Rademacher, Uniform
from simprune.model.layers import Conv2d, Dense, Flatten, MaxPool
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import (
    BernoulliPruning,
    FilterMagnitudePruning,
    FilterRandomPruning,
    MagnitudePruning,
    RandomPruning,
)
from simprune.theory.bounds import apriori_bound
from simprune.theory.convolutions import _log_sum_moments, layer_pruned_norm, layer_target_norm
from simprune.theory.promise import promise
from tests.conformance.cases import point

LAYERS = {
    "zero": Conv2d(channels=6, kernel=(3, 3), padding=(1, 1)),
    "circular": Conv2d(channels=6, kernel=(3, 3), padding=(1, 1), circular=True),
    "stride and groups": Conv2d(channels=6, kernel=(3, 2), stride=(2, 1), groups=2),
}
RULES = (
    MagnitudePruning(alpha=0.3),
    RandomPruning(alpha=0.3),
    BernoulliPruning(alpha=0.3),
    FilterMagnitudePruning(pruned_fraction=0.34),
    FilterRandomPruning(pruned_fraction=0.34),
)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("law", [Uniform(), Gaussian(), Laplace(), Rademacher()], ids=lambda law: law.name)
@pytest.mark.slow
def test_bounds_are_rarely_violated(layer, law):
    """Eight draws at delta = 0.05: more than four violations have a chance below 2e-5 even if each had 0.05."""
    network = NetworkSpec(
        chain=Chain(input=(4, 5, 5), layers=(layer,)), activation=ReLU(), target=SampledTarget(distribution=law)
    )
    (stage,) = network.weighted
    bound = layer_target_norm(stage, law, delta=0.05).value
    for rule in RULES:
        case = point(chain=network.chain, law=law, rule=rule)
        most = layer_pruned_norm(stage, law, rule, n_pruned=case.n_pruned[0], delta=0.05).value
        norms = []
        for trial in range(8):
            built = ReferenceBackend().rebuild(case, trial, None)
            kernels = [a.astype(np.float64).reshape(1, *stage.matrix_shape) for a in (built.target[0], built.pruned[0])]
            full, kept = (written_out(stage, k)[0] for k in kernels)
            norms.append([np.linalg.norm(m, 2) for m in (full, kept, full - kept)])
        worst = np.array(norms)
        assert np.count_nonzero(worst[:, 0] > bound) <= 4
        assert np.count_nonzero(worst[:, 1] > bound) <= 4
        assert np.count_nonzero(worst[:, 2] > most) <= 4
        assert bound < 4.0 * worst[:, 0].mean()


def test_moments_of_sums_are_exact():
    """Z of two uniform entries: E Z^2 = 2/3, E Z^4 = 2/5 + 6/9; masked Gaussians: E Z^2 = N q."""
    two = np.exp(_log_sum_moments(2, 1.0, Uniform))
    assert two[:2] * [2, 24] == pytest.approx([2 / 3, 2 / 5 + 6 / 9])
    masked = np.exp(_log_sum_moments(9, 0.1, Gaussian))
    assert masked[:2] * [2, 24] == pytest.approx([0.9, 9 * 0.3 + 72 * 3 * 0.01])


def test_the_published_ratios_are_met():
    """Bound / mean norm at delta 0.05, 16x16 images, zero padding, from an independent prototype: 1.17 (c = 32)."""
    stage = Chain(input=(32, 16, 16), layers=(Conv2d(channels=32, kernel=(3, 3), padding=(1, 1)),)).stages[0]
    assert layer_target_norm(stage, Uniform(), delta=0.05).value / 1.154 == pytest.approx(1.17, abs=0.03)


def test_bounds_shrink_with_the_count_and_filters_do_not_vanish():
    stage = Chain(input=(16, 8, 8), layers=(LAYERS["zero"],)).stages[0]
    sizes = [
        layer_pruned_norm(stage, Uniform(), MagnitudePruning(alpha=0.5), n_pruned=k, delta=0.05).value
        for k in (0, 1, 10, 100, 864)
    ]
    assert sizes[0] == 0.0
    assert sizes == sorted(sizes)
    whole = layer_target_norm(stage, Uniform(), delta=0.05).value
    assert sizes[-1] == pytest.approx(whole)
    filters = layer_pruned_norm(stage, Uniform(), FilterRandomPruning(alpha=0.5), n_pruned=144, delta=0.05)
    assert filters.value == whole


def test_a_network_with_convolutions_has_a_bound_above_its_certificates():
    chain = Chain(
        input=(2, 6, 6),
        layers=(LAYERS["zero"], MaxPool(kernel=(2, 2), stride=(2, 2)), Flatten(), Dense(width=3)),
    )
    case = point(chain=chain, rule=MagnitudePruning(alpha=0.3))
    told = promise(case.network, case.rule, delta=0.05, epsilon=0.1)
    assert told.bound.gap == apriori_bound(case.network, case.rule, delta=0.05).gap > 0.0
    assert (told.width, told.exponents.sharp, told.elementary, told.typical) == (None, None, None, None)
