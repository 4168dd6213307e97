"""The analysis of networks with convolutions: families by channels, no exponent claimed, bounds and thresholds as ever."""

import dataclasses

import pytest

from simprune.analysis.estimates import Refused
from simprune.analysis.families import families
from simprune.analysis.promises import PointPromise
from simprune.analysis.report import render
from simprune.analysis.summarize import summarize
from simprune.backends.reference import ReferenceBackend
from simprune.design.design import Design
from simprune.design.layer_values import widened
from simprune.engine import run
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.chain import Chain
from simprune.model.pruning import FilterMagnitudePruning, MagnitudePruning
from simprune.schedulers.serial import SerialScheduler
from simprune.store.folder import FolderStore
from simprune.store.results import open_results
from tests.conformance.cases import point
from tests.invariance.studies import TINY_CNN

RULES = (MagnitudePruning(alpha=0.3), FilterMagnitudePruning(pruned_fraction=0.4))


def points():
    chains = [Chain(input=TINY_CNN.input, layers=widened(TINY_CNN.layers, factor)) for factor in (1, 2, 4)]
    estimators = (Sampled(samples=8), Spectral())
    return tuple(point(chain=chain, rule=rule, estimators=estimators) for chain in chains for rule in RULES)


def test_points_that_differ_in_channels_are_one_family():
    first, second = families(points())
    assert (first.pattern, first.widths, first.members) == ("2-d-2/3d-2", (3, 6, 12), (0, 2, 4))
    assert second.members == (1, 3, 5)


def test_networks_of_other_layers_are_no_family():
    small, *_ = points()
    other = Chain(input=(2, 5, 3), layers=TINY_CNN.layers)
    different = dataclasses.replace(small.network, widths=(), chain=other)
    assert families((small, dataclasses.replace(small, network=different))) == ()


@pytest.mark.slow
def test_a_study_is_analysed_from_end_to_end(tmp_path):
    design = Design(cells=points(), trials=60, epsilons=(0.1,))
    with FolderStore.open(tmp_path / "r", design, provenance={}) as store:
        assert run(design, backend=ReferenceBackend(), scheduler=SerialScheduler(), store=store).complete
    summary = summarize(open_results(tmp_path / "r"))
    assert [family.sharp for family in summary.exponents] == [None, None]
    for told in summary.points:
        promise = told.promise
        assert isinstance(promise, PointPromise), promise
        assert promise.bound >= promise.attained.value
        assert promise.exceeded.successes == 0
        assert not isinstance(told.relative, Refused)
    assert len(summary.thresholds) == 9
    text = render(summary)
    assert "2-3-2-2" in text
    assert "no exponent is claimed for convolutions" in text
    assert "Whole filters or neurons go" in text
