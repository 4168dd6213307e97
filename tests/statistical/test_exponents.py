"""The gap of square one-layer networks with uniform weights falls as d^(-3 alpha) (magnitude) and d^(-alpha) (random)."""

import numpy as np
import pytest

from simprune.backends.cpu import CpuBackend
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import Identity
from simprune.model.distributions import Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning, RandomPruning

WIDTHS = (64, 128, 256, 512)
RULES = [MagnitudePruning(alpha=0.1), MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.1), RandomPruning(alpha=0.3)]
SHARP = {"magnitude": 3.0, "random": 1.0}


@pytest.fixture(scope="module")
def gaps():
    """Medians of both sides of the gap, ``[width, rule, side]``, over 24 seeded trials each."""
    medians = []
    for d in WIDTHS:
        network = NetworkSpec(widths=(d, d), activation=Identity(), target=SampledTarget(distribution=Uniform()))
        estimators = (Ascent(restarts=8, steps=40), Spectral())
        points = tuple(Point(network=network, rule=rule, estimators=estimators, seed=5) for rule in RULES)
        batches = CpuBackend().run(Block(points=points, first=0, stop=24))
        medians.append([[np.median(b.columns[side]) for side in ("gap_lower", "gap_upper")] for b in batches])
    return np.array(medians)


@pytest.mark.parametrize("rule", range(len(RULES)), ids=[f"{r.name} {r.alpha}" for r in RULES])
def test_fitted_exponents_lie_within_a_tenth_of_the_sharp_ones(gaps, rule):
    # the standard error of a slope is about 0.005 here: the distance to the limit, not chance, fills the tenth
    sharp = SHARP[RULES[rule].name] * RULES[rule].alpha
    for side in (0, 1):
        slope = np.polyfit(np.log(WIDTHS), np.log(gaps[:, rule, side]), 1)[0]
        assert abs(-slope - sharp) < 0.1


def test_one_layer_gaps_are_bracketed_to_less_than_a_percent(gaps):
    assert np.all(gaps[..., 0] <= gaps[..., 1])
    assert np.all(gaps[..., 1] <= 1.01 * gaps[..., 0])
