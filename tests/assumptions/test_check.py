"""Whole networks: i.i.d. layers pass, planted departures fail at the right step, results depend on the seed alone."""

import json

import numpy as np
import pytest

from simprune.assumptions.check import LEAST_REPLICATES, check_assumptions
from simprune.assumptions.json_form import to_json
from simprune.assumptions.report import render
from simprune.model.errors import InputError
from simprune.theory.layers import target_norm

SIZE = (48, 40)


def draw(seed=1, size=SIZE):
    return np.random.default_rng(seed).uniform(-1.0, 1.0, size)


def found(values, **keywords):
    (layer,) = check_assumptions({"W0": values}, replicates=399, **keywords).layers
    return layer


def needs(values):
    return [step.needs for step in found(values).failed]


@pytest.mark.parametrize("law", ["uniform", "gaussian"])
def test_an_iid_layer_of_a_known_law_passes(law):
    values = draw() if law == "uniform" else np.random.default_rng(4).standard_normal(SIZE)
    layer = found(values)
    assert layer.failed == ()
    assert layer.size.nearer == law
    assert layer.spectrum.outliers == 0
    assert all(part.norm <= part.bound for part in layer.placements)
    assert all(part.low <= part.ratio <= part.high for part in layer.placements)


def test_another_iid_law_fails_at_the_first_step_only():
    assert needs(np.random.default_rng(3).laplace(size=(64, 64))) == ["the weights follow a uniform or a Gaussian law"]


def test_small_weights_in_one_corner_fail_at_their_positions():
    values = draw()
    order = np.argsort(np.abs(values).ravel())
    corner = np.argsort(np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])).ravel(), kind="stable")
    moved = np.empty(values.size)
    moved[corner] = values.ravel()[order]
    assert needs(moved.reshape(SIZE))[0] == "the small weights lie at random positions"


def test_small_weights_in_few_rows_raise_the_norm_of_the_pruned_part():
    values = draw()
    values[:4] *= 0.1
    layer = found(values)
    assert layer.test("placement").rejected
    assert layer.placements[1].ratio > 1.1 * layer.placements[1].high > 1.1


def test_each_departure_fails_at_its_step():
    assert "signs are fair" in needs(np.abs(draw()))
    assert "no two magnitudes are equal" in needs(np.round(50.0 * draw()) / 50.0)
    assert "weights are independent" in needs(np.repeat(draw(size=(24, 40)), 2, axis=0))
    spike = draw() + np.outer(np.ones(48), draw(5, 40))
    assert "the norm is that of a random matrix" in needs(spike)
    assert found(spike).spectrum.outliers >= 1


@pytest.mark.slow
def test_sizes_and_norms_are_those_of_the_whole_layer():
    values = draw(size=(400, 300)).astype(np.float32)
    layer = found(values, alphas=(0.2,))
    (part,) = layer.placements
    size = np.sort(np.abs(values).ravel())
    delta = np.where(np.abs(values) <= size[part.n_pruned - 1], values, 0.0)
    assert np.prod(layer.sampled) < values.size
    assert layer.size.uniform == pytest.approx(20.0 * size[-1])
    assert part.n_pruned == int(np.floor(values.size**0.8))
    assert part.norm == pytest.approx(np.linalg.norm(delta, 2), rel=1e-4)
    assert layer.spectrum.norm == pytest.approx(np.linalg.norm(values, 2), rel=1e-4)
    law = {"delta": 0.05}
    assert layer.spectrum.bound == pytest.approx(target_norm((400, 300), _uniform(layer.size.uniform), **law).value)


def _uniform(scale):
    from simprune.model.distributions import Uniform

    return Uniform(K=scale)


def test_numbers_depend_on_the_seed_and_on_nothing_else():
    weights = {"a": draw(), "b": draw(2, (8, 3, 3, 3))}
    first, again = (check_assumptions(weights, seed=5, replicates=LEAST_REPLICATES) for _ in "ab")
    other = check_assumptions(weights, seed=6, replicates=LEAST_REPLICATES)
    assert first == again
    assert first != other
    alone = check_assumptions({"a": weights["a"]}, seed=5, replicates=LEAST_REPLICATES)
    assert [t.p_value for t in alone.layers[0].tests] == [t.p_value for t in first.layers[0].tests]


def test_scaling_a_layer_changes_its_size_only():
    layer, scaled = found(draw()), found(draw() * 2.0**-90)
    assert [t.p_value for t in layer.tests] == [t.p_value for t in scaled.tests]
    assert scaled.size.uniform == pytest.approx(layer.size.uniform * 2.0**-90)
    assert [p.ratio for p in layer.placements] == pytest.approx([p.ratio for p in scaled.placements])


def test_report_and_json_tell_everything():
    weights = {"good": draw(), "bad": np.abs(draw()), "tiny": np.ones((2, 2)), "zeros": np.zeros((9, 9))}
    result = check_assumptions(weights, replicates=LEAST_REPLICATES, origin="some file")
    text = render(result)
    assert all(
        part in text for part in ("some file", "good", "signs are fair", "tiny, 2 x 2: not tested", "all its weights")
    )
    assert max(map(len, text.splitlines())) <= 108
    plain = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert plain["format"] == "simprune-assumptions/1"
    assert [layer["name"] for layer in plain["layers"]] == ["good", "bad"]
    assert [layer["name"] for layer in plain["untested"]] == ["tiny", "zeros"]


def test_mostly_zero_layers_are_no_error():
    values = np.where(np.random.default_rng(4).random(SIZE) < 0.95, 0.0, draw())
    layer = found(values)
    assert layer.placements[0].ratio is None
    assert "-" in render(check_assumptions({"W0": values}, replicates=LEAST_REPLICATES))


def test_nothing_to_test_is_told():
    result = check_assumptions({"tiny": np.ones((2, 2))})
    assert result.layers == ()
    assert "not tested" in render(result)


@pytest.mark.parametrize(
    ("keywords", "told"),
    [({"alphas": (1.5,)}, "alpha must lie"), ({"seed": -1}, "seed must lie"), ({"replicates": 10}, "replicates must be")],
)
def test_refusals(keywords, told):
    with pytest.raises(InputError, match=told):
        check_assumptions({"W0": draw()}, **keywords)
