"""Weights, masks and inputs of every backend: by definition, by an oracle, and integer by integer across backends."""

import itertools

import numpy as np
import pytest

from simprune.backends.reference import ReferenceBackend
from simprune.model.distributions import DISTRIBUTIONS, Gaussian, Rademacher, Uniform
from simprune.model.pruning import RULES, BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.model.scalars import half_normal_quantile
from simprune.rng import Purpose, word
from tests.conformance.cases import columns, point, trained_network
from tests.oracle import kept_mask

PRECISIONS = ("float32", "float64")
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
WIDTHS = (7, 33, 40, 5)
TRIALS = (0, 1, 2**33 + 5)
REFERENCE = ReferenceBackend()

each_precision = pytest.mark.parametrize("precision", PRECISIONS)
each_law = pytest.mark.parametrize("law", DISTRIBUTIONS, ids=lambda law: law.name)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def scalar_key(key, purposes, layer, *, trial, element, precision):
    """Sign bit and rank key of one element, from the definition of a random word."""
    high = word(key, purposes[0], layer, trial, element)
    if precision == "float32":
        return high >> 31, high & 0x7FFFFFFF, 31
    low = word(key, purposes[1], layer, trial, element)
    return high >> 31, (high & 0x7FFFFFFF) << 22 | low >> 10, 53


@each_law
@each_precision
def test_weights_follow_from_their_words(backend, law, precision):
    case = point(WIDTHS, law=law(K=2.0), precision=precision)
    trial = 2**33 + 5
    weights = backend.rebuild(case, trial, None).target
    for layer, (d_out, d_in) in enumerate(case.network.shapes):
        assert (weights[layer].shape, weights[layer].dtype) == ((d_out, d_in), np.dtype(precision))
        for element in (0, d_in - 1, d_out * d_in // 2, d_out * d_in - 1):
            purposes = (Purpose.WEIGHT, Purpose.WEIGHT_LOW)
            sign, key, bits = scalar_key(case.key, purposes, layer, trial=trial, element=element, precision=precision)
            size = law.magnitude((2 * key + 1) / 2 ** (bits + 1), (2 ** (bits + 1) - 2 * key - 1) / 2 ** (bits + 1))
            wanted = (-1) ** sign * 2.0 / np.sqrt(max(d_out, d_in)) * size
            assert weights[layer].ravel()[element] == pytest.approx(wanted, rel=TOLERANCE[precision])


@each_rule
@each_law
@each_precision
def test_backends_agree_on_masks_and_weights(other, rule, law, precision):
    for amount in ({"alpha": 0.3}, {"alpha": (0.1, 0.5, 0.9)}, {"pruned_fraction": 0.5}, {"pruned_fraction": 0.97}):
        case = point(WIDTHS, law=law(), rule=rule(**amount), precision=precision)
        for trial in TRIALS:
            found, wanted = (b.rebuild(case, trial, None) for b in (other, REFERENCE))
            for layer in range(3):
                np.testing.assert_array_equal(found.masks[layer], wanted.masks[layer])
                np.testing.assert_allclose(found.target[layer], wanted.target[layer], rtol=TOLERANCE[precision], atol=0.0)
                np.testing.assert_array_equal(found.pruned[layer], np.where(found.masks[layer], found.target[layer], 0.0))


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.999, 1.0])
@each_rule
@each_precision
def test_backends_agree_at_extreme_amounts(other, rule, fraction, precision):
    case = point(WIDTHS, rule=rule(pruned_fraction=fraction), precision=precision)
    found, wanted = (columns(b, case, stop=3)[0] for b in (other, REFERENCE))
    np.testing.assert_array_equal(found["n_pruned"], wanted["n_pruned"])
    np.testing.assert_allclose(found["threshold"], wanted["threshold"], rtol=TOLERANCE[precision])


@each_rule
@each_precision
def test_backends_agree_on_a_large_layer(other, rule, precision):
    for alpha in (0.05, 0.5):
        case = point((130, 257), rule=rule(alpha=alpha), law=Gaussian(), precision=precision)
        found, wanted = (b.rebuild(case, 11, None) for b in (other, REFERENCE))
        np.testing.assert_array_equal(found.masks[0], wanted.masks[0])


@each_law
@each_precision
def test_magnitude_pruning_takes_exactly_the_smallest(backend, law, precision):
    case = point(WIDTHS, law=law(), rule=MagnitudePruning(alpha=0.2), precision=precision)
    row = columns(backend, case, stop=4)[0]
    for number in range(4):
        trial = backend.rebuild(case, number, None)
        for layer, (weights, mask) in enumerate(zip(trial.target, trial.masks, strict=True)):
            n_pruned = case.n_pruned[layer]
            assert np.count_nonzero(~mask) == row["n_pruned"][number, layer] == n_pruned
            size = np.abs(weights)
            assert size[~mask].max() <= size[mask].min()
            assert row["threshold"][number, layer] == size[mask].min()
            # Keys rank more finely than float32 values, so ties of the values are no ties of the rank.
            if np.unique(size).size == size.size or law is Rademacher:
                np.testing.assert_array_equal(mask, kept_mask(weights, n_pruned))


@pytest.mark.parametrize("levels", [1, 2, 7])
@each_precision
def test_masks_of_heavily_tied_files_are_those_of_a_stable_sort(backend, levels, precision):
    trained = trained_network((40, 33, 20), levels=levels)
    for alpha in (0.02, 0.1, 0.3, 0.6, 0.9):
        case = point(trained.widths, rule=MagnitudePruning(alpha=alpha), trained=trained, precision=precision)
        trial = backend.rebuild(case, 5, trained)
        for layer, weights in enumerate(trained.weights):
            assert np.unique(np.abs(weights)).size < weights.size / 20
            np.testing.assert_array_equal(trial.masks[layer], kept_mask(weights, case.n_pruned[layer]))
            np.testing.assert_array_equal(trial.target[layer], weights.astype(precision))
            np.testing.assert_array_equal(trial.biases[layer], trained.biases[layer].astype(precision))


@each_precision
def test_random_rules_rank_by_the_words_of_the_mask(backend, precision):
    amount = 0.35
    exact = point((5, 12), rule=RandomPruning(pruned_fraction=amount), precision=precision)
    loose = point((5, 12), rule=BernoulliPruning(pruned_fraction=amount), precision=precision)
    purposes = (Purpose.MASK, Purpose.MASK_LOW)
    for trial in range(5):
        drawn = [scalar_key(exact.key, purposes, 0, trial=trial, element=e, precision=precision) for e in range(60)]
        keys, bits = [key for _, key, _ in drawn], drawn[0][2]
        cut = sorted(keys)[21]
        mask = backend.rebuild(exact, trial, None).masks[0].ravel()
        np.testing.assert_array_equal(mask, [key >= cut for key in keys])
        mask = backend.rebuild(loose, trial, None).masks[0].ravel()
        np.testing.assert_array_equal(mask, [key >= 21 * 2**bits // 60 for key in keys])


def test_magnitude_masks_nest_over_alpha_and_rules_share_their_targets(backend):
    alphas = (0.8, 0.6, 0.4, 0.2, 0.05)
    for law in (Uniform(), Gaussian(), Rademacher()):
        trials = [backend.rebuild(point((20, 31), law=law, rule=MagnitudePruning(alpha=a)), 4, None) for a in alphas]
        for fewer, more in itertools.pairwise(trials):
            assert np.all(fewer.masks[0] >= more.masks[0])
            np.testing.assert_array_equal(fewer.target[0], more.target[0])
        randomly = backend.rebuild(point((20, 31), law=law, rule=RandomPruning(alpha=0.4)), 4, None)
        np.testing.assert_array_equal(randomly.target[0], trials[0].target[0])


@each_precision
def test_random_inputs_follow_from_their_words(backend, precision):
    case = point((3, 4), precision=precision)
    trials = np.array([2, 2**34], dtype=np.int64)
    x = backend.open(case, trials, None).random_inputs(Purpose.SAMPLE, 5)
    assert x.dtype == np.dtype(precision)
    for row, trial in enumerate(trials.tolist()):
        for c in range(5):
            words = [word(case.key, Purpose.SAMPLE, 0, trial, 3 * c + i) for i in range(3)]
            units = [((w & 0x7FFFFFFF) + 0.5) / 2**31 for w in words]
            normal = np.array(
                [(-1) ** (w >> 31) * half_normal_quantile(u, 1.0 - u) for w, u in zip(words, units, strict=True)]
            )
            wanted = normal / np.linalg.norm(normal)
            np.testing.assert_allclose(x[row, :, c], wanted, rtol=1e-6 if precision == "float32" else 1e-12)


@each_precision
def test_a_trial_does_not_depend_on_its_block(backend, precision):
    case = point((9, 17, 4), precision=precision)
    whole = columns(backend, case, stop=19)[0]
    parts = [columns(backend, case, first=a, stop=b)[0] for a, b in ((0, 1), (1, 11), (11, 19))]
    for name, column in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        assert joined.tobytes() == column.tobytes(), name
