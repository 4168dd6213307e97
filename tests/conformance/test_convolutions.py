"""Networks with convolutions on every backend: passes, gradients, masks and error bounds against independent loops."""

import numpy as np
import pytest

from simprune.backends.reference import ReferenceBackend
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import ACTIVATIONS, Identity, ReLU, Tanh
from simprune.model.chain import Chain
from simprune.model.distributions import Gaussian, Rademacher
from simprune.model.layers import AveragePool, Conv2d, Dense, Flatten, GlobalAveragePool, GlobalMaxPool, MaxPool, conv1d
from simprune.model.pruning import RULES, FilterMagnitudePruning, MagnitudePruning, RandomPruning
from simprune.rng import Purpose
from tests.conformance.cases import BOTH, SMALL_CNN, columns, point, trained_cnn
from tests.conv_oracle import ConvPair
from tests.oracle import kept_mask, sphere_grid

TRIALS = np.arange(2, dtype=np.int64)
REFERENCE = ReferenceBackend()
CHAINS = {
    "pooling first, last and overlapping": Chain(
        input=(2, 6, 5),
        layers=(
            AveragePool(kernel=(2, 2), stride=(1, 2)),
            MaxPool(kernel=(2, 1), stride=(1, 1)),
            Conv2d(channels=5, kernel=(3, 3), stride=(2, 1), padding=(1, 1)),
            MaxPool(kernel=(1, 2), stride=(1, 1)),
            Conv2d(channels=9, kernel=(1, 1)),
            GlobalMaxPool(),
        ),
    ),
    "groups, strides and circular padding": Chain(
        input=(4, 6, 4),
        layers=(
            Conv2d(channels=6, kernel=(3, 3), padding=(1, 1), stride=(2, 3), circular=True, groups=2),
            Conv2d(channels=3, kernel=(2, 2), groups=3),
            GlobalAveragePool(),
            Flatten(),
            Dense(width=3),
        ),
    ),
    "one dimension": Chain(
        input=(3, 1, 14),
        layers=(conv1d(5, 4, stride=2, padding=2), conv1d(4, 3, padding=1, circular=True), Flatten(), Dense(width=2)),
    ),
    "as many channels as Winograd's algorithm wants": Chain(
        input=(1, 4, 4),
        layers=(
            Conv2d(channels=16, kernel=(3, 3), padding=(1, 1)),
            Conv2d(channels=17, kernel=(3, 3), padding=(1, 1)),
            Conv2d(channels=16, kernel=(3, 3), padding=(1, 1), circular=True),
            GlobalAveragePool(),
            Flatten(),
            Dense(width=3),
        ),
    ),
    "small": SMALL_CNN,
}
each_chain = pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())


def opened(backend, case, trained=None):
    ops = backend.open(case, TRIALS, trained)
    return ops, ops.prune([case.rule])[0]


def pairs(case, trained=None):
    return [ConvPair.of(REFERENCE.rebuild(case, t, trained), case.network) for t in TRIALS.tolist()]


@each_chain
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 2e-4), ("float64", 1e-10)])
@pytest.mark.slow
def test_outputs_and_gaps_agree_with_plain_loops(backend, chain, precision, rtol):
    trained = trained_cnn(chain)
    for activation, source in ((ReLU(), None), (Tanh(), trained)):
        rule = RandomPruning(pruned_fraction=0.3)
        case = point(chain=chain, activation=activation, rule=rule, precision=precision, trained=source)
        ops, pruned = opened(backend, case, source)
        x = ops.random_inputs(Purpose.SAMPLE, 3)
        passed = ops.forward(x)
        norms, gaps = ops.output_norms(passed), ops.gaps(ops.difference(passed, pruned))
        both, _ = ops.gap_and_gradient(x, pruned)
        for row, pair in enumerate(pairs(case, source)):
            inputs = x[row, :, :3].astype(np.float64)
            np.testing.assert_allclose(norms[row, :3], np.linalg.norm(pair.output(pair.target, inputs), axis=0), rtol=rtol)
            np.testing.assert_allclose(gaps[row, :3], pair.gap(inputs), rtol=rtol)
            np.testing.assert_allclose(both[row, :3], pair.gap(inputs), rtol=rtol)


@each_chain
@pytest.mark.slow
def test_gradients_agree_with_finite_differences(backend, chain):
    case = point(chain=chain, activation=Tanh(), rule=RandomPruning(pruned_fraction=0.3), precision="float64")
    ops, pruned = opened(backend, case)
    x = 0.7 * ops.random_inputs(Purpose.SAMPLE, 2)
    found = {"gap": ops.gap_and_gradient(x, pruned)[1], "output": ops.output_gradient(ops.forward(x))}
    shifts = 1e-6 * np.eye(x.shape[1])
    pair = pairs(case)[0]
    functions = {"gap": pair.gap, "output": lambda v: np.linalg.norm(pair.output(pair.target, v), axis=0)}
    for name, function in functions.items():
        for c in range(2):
            at = x[0, :, c]
            wanted = function(at[:, None] + shifts) - function(at[:, None] - shifts)
            gradient = found[name][0, :, c]
            np.testing.assert_allclose(gradient / np.linalg.norm(gradient), wanted / np.linalg.norm(wanted), atol=1e-5)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_backends_agree_on_masks_and_weights(other, rule, precision):
    for amount in ({"alpha": 0.3}, {"pruned_fraction": (0.0, 0.5, 1.0)}):
        case = point(chain=SMALL_CNN, law=Gaussian(), rule=rule(**amount), precision=precision)
        for trial in (0, 2**33 + 5):
            found, wanted = (b.rebuild(case, trial, None) for b in (other, REFERENCE))
            for layer, shape in enumerate(case.network.weight_shapes):
                assert found.target[layer].shape == found.masks[layer].shape == shape
                np.testing.assert_array_equal(found.masks[layer], wanted.masks[layer])
                np.testing.assert_allclose(
                    found.target[layer], wanted.target[layer], rtol=1e-6 if "32" in precision else 1e-13
                )
                np.testing.assert_array_equal(found.pruned[layer], np.where(found.masks[layer], found.target[layer], 0.0))


@pytest.mark.parametrize("levels", [None, 2])
def test_masks_of_kernels_are_exact_with_ties(backend, levels):
    trained = trained_cnn(levels=levels)
    case = point(chain=SMALL_CNN, rule=MagnitudePruning(pruned_fraction=0.35), trained=trained)
    trial = backend.rebuild(case, 5, trained)
    for layer, weights in enumerate(trained.weights):
        np.testing.assert_array_equal(trial.masks[layer], kept_mask(weights, case.n_pruned[layer]))
        np.testing.assert_array_equal(trial.target[layer], weights)
        np.testing.assert_array_equal(trial.biases[layer], trained.biases[layer])


def test_scales_are_those_of_the_model(backend):
    case = point(chain=SMALL_CNN, law=Rademacher(K=3.0))
    for weights, scale in zip(backend.rebuild(case, 1, None).target, case.network.scales, strict=True):
        np.testing.assert_allclose(np.abs(weights), scale, rtol=1e-6)


@pytest.mark.parametrize("widths", [None, (9, 7, 5)])
@pytest.mark.parametrize("name", ["filter_magnitude", "filter_random"])
@pytest.mark.slow
def test_whole_filters_and_neurons_go(backend, widths, name):
    rule = next(cls for cls in RULES if cls.name == name)(pruned_fraction=0.5)
    case = point(widths or (), chain=None if widths else SMALL_CNN, rule=rule)
    row = columns(backend, case, stop=3)[0]
    for number in range(3):
        trial = backend.rebuild(case, number, None)
        for layer, (weights, mask) in enumerate(zip(trial.target, trial.masks, strict=True)):
            rows = mask.reshape(len(mask), -1)
            assert np.array_equal(rows.any(axis=1), rows.all(axis=1))
            gone = np.flatnonzero(~rows[:, 0])
            assert len(gone) == len(mask) // 2
            assert row["n_pruned"][number, layer] == case.n_pruned[layer] == len(gone) * rows.shape[1]
            size = np.linalg.norm(weights.reshape(rows.shape).astype(np.float64), axis=1)
            if name == "filter_magnitude":
                assert set(gone) == set(np.argsort(size)[: len(gone)])
            assert row["threshold"][number, layer] == np.abs(weights)[mask].min()
    if name == "filter_random":
        masks = [backend.rebuild(case, t, None).masks[0].reshape(case.network.shapes[0])[:, 0] for t in range(200)]
        share = np.mean(~np.array(masks), axis=0)
        wanted = (len(share) // 2) / len(share)
        assert np.abs(share - wanted).max() < 5.0 * np.sqrt(wanted * (1 - wanted) / 200)


@each_chain
@pytest.mark.parametrize("activation", [cls() for cls in ACTIVATIONS], ids=lambda a: a.name)
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs 80-bit long doubles")
@pytest.mark.slow
def test_the_noise_bounds_the_error_of_the_evaluated_gap(backend, chain, activation):
    trained = trained_cnn(chain)
    for amount in (0.02, 1.0):
        rule = MagnitudePruning(pruned_fraction=amount)
        case = point(chain=chain, activation=activation, rule=rule, precision="float64", trained=trained)
        ops, pruned = opened(backend, case, trained)
        x = ops.random_inputs(Purpose.SAMPLE, 1)[:, :, 0].copy()
        gap, noise = ops.evaluate(x, pruned)
        for row, pair in enumerate(pairs(case, trained)):
            wide = x[row].astype(np.longdouble)
            wide = wide / np.maximum(np.sqrt(np.sum(wide**2)), 1.0)
            exact = np.sqrt(np.sum((pair.one(pair.pruned, wide) - pair.one(pair.target, wide)) ** 2))
            assert abs(exact - gap[row]) <= noise[row] + 1e-17
            assert noise[row] < 1e-9 * max(gap[row], 1e-3)


@each_chain
@pytest.mark.slow
def test_nothing_pruned_means_no_gap_at_all(backend, chain):
    trained = trained_cnn(chain)
    case = point(chain=chain, rule=MagnitudePruning(pruned_fraction=0.0), trained=trained)
    row = columns(backend, case, stop=2, trained=trained)[0]
    for name in ("gap_lower", "gap_upper", "noise_floor", "delta_norm", "n_pruned", "status"):
        assert np.all(row[name] == 0), name
    assert np.all(row["output_norm"] > 0)


TINY = {
    "maximum": Chain(input=(1, 1, 3), layers=(conv1d(3, 2), MaxPool(kernel=(1, 2), stride=(1, 1)), conv1d(2, 1), Flatten())),
    "average": Chain(
        input=(1, 1, 3),
        layers=(conv1d(4, 3, padding=1), AveragePool(kernel=(1, 2), stride=(1, 1)), Flatten(), Dense(width=2)),
    ),
    "stride": Chain(
        input=(3, 1, 1), layers=(Conv2d(channels=4, kernel=(3, 3), padding=(2, 2), stride=(2, 2)), GlobalMaxPool())
    ),
}


@pytest.mark.parametrize("chain", TINY.values(), ids=TINY.keys())
@pytest.mark.parametrize("name", ["magnitude", "random", "filter_random"])
@pytest.mark.slow
def test_tiny_networks_meet_the_brute_forced_supremum(backend, chain, name):
    rule = next(cls for cls in RULES if cls.name == name)(pruned_fraction=0.4)
    case = point(chain=chain, rule=rule, estimators=(Ascent(restarts=256, steps=30), Spectral()))
    row = columns(backend, case, stop=2)[0]
    for trial in range(2):
        pair = ConvPair.of(backend.rebuild(case, trial, None), case.network)
        directions, _ = sphere_grid(3, 24)
        best = pair.gap(directions).max()
        assert best <= row["gap_upper"][trial]
        assert best <= row["gap_lower"][trial] * 1.02 + 1e-12
        witness = row["gap_lower"][trial] + row["noise_floor"][trial]
        assert witness <= row["gap_upper"][trial]


LINEAR = {
    "signal, stride": Chain(
        input=(2, 4, 4), layers=(conv1d(3, 2), Conv2d(channels=2, kernel=(2, 2), stride=(2, 1)), Flatten())
    ),
    "circular, groups, average, dense": Chain(
        input=(2, 5, 6),
        layers=(
            Conv2d(channels=4, kernel=(3, 3), padding=(1, 1), circular=True, groups=2),
            AveragePool(kernel=(2, 3), stride=(1, 2)),
            Flatten(),
            Dense(width=5),
        ),
    ),
    "one layer": Chain(input=(3, 4, 4), layers=(Conv2d(channels=5, kernel=(3, 3), padding=(1, 1)),)),
}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("rule", [MagnitudePruning(alpha=0.3), FilterMagnitudePruning(pruned_fraction=0.4)])
@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.slow
def test_linear_networks_meet_their_largest_singular_value(backend, name, rule, precision):
    case = point(chain=LINEAR[name], activation=Identity(), rule=rule, precision=precision, estimators=BOTH)
    row = columns(backend, case, stop=4)[0]
    for trial in range(4):
        pair = ConvPair.of(backend.rebuild(case, trial, None), case.network)
        unit = np.eye(case.network.widths[0])
        exact = np.linalg.norm(pair.output(pair.pruned, unit) - pair.output(pair.target, unit), 2)
        assert 0.99 * exact <= row["gap_lower"][trial] <= exact * (1.0 + 1e-12)
        assert exact * (1.0 - 1e-12) <= row["gap_upper"][trial] <= 1.0021 * exact


@each_chain
@pytest.mark.slow
def test_a_trial_does_not_depend_on_its_block(backend, chain):
    estimators = (Ascent(restarts=3, steps=4, keep_witness=True), Spectral())
    case = point(chain=chain, rule=RandomPruning(alpha=0.3), estimators=estimators)
    whole = columns(backend, case, stop=5)[0]
    parts = [columns(backend, case, first=a, stop=b)[0] for a, b in ((0, 1), (1, 5))]
    for name, column in whole.items():
        assert np.concatenate([part[name] for part in parts]).tobytes() == column.tobytes(), name
