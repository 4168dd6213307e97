"""Simultaneous bands: where they exist, that all levels hold at once as often as promised, and how they are told."""

import math

import numpy as np
import pytest

from simprune.analysis import render, summarize, to_json
from simprune.analysis.bands import band_margin, quantile_band, share_band
from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.quantiles import quantile_interval
from tests.analysis.synthetic import SyntheticResults, make_point, make_table


def test_margin_solves_massarts_inequality() -> None:
    for n in (1, 59, 10**8):
        assert 2.0 * math.exp(-2.0 * n * band_margin(n, error=0.02) ** 2) == pytest.approx(0.02)


@pytest.mark.parametrize(("level", "error"), [(0.5, 0.05), (0.95, 0.05), (0.05, 0.05), (0.9, 0.3)])
def test_needed_rows_are_exactly_where_bands_begin(level: float, error: float) -> None:
    refused = quantile_band(np.arange(3.0), level, error=error)
    assert isinstance(refused, Refused)
    needed = refused.needed
    assert needed is not None
    assert isinstance(quantile_band(np.arange(needed - 1.0), level, error=error), Refused)
    for n in range(needed, needed + 200):
        assert isinstance(quantile_band(np.arange(float(n)), level, error=error), Interval)
    assert isinstance(quantile_band(np.empty(0), level), Refused)


def test_ranks_are_those_at_which_the_band_of_the_distribution_crosses_the_level() -> None:
    n, error = 300, 0.1
    margin = band_margin(n, error=error)
    below, at_most = np.arange(n) / n, np.arange(1, n + 1) / n
    for level in (0.3, 0.5, 0.77):
        found = quantile_band(np.arange(float(n)), level, error=error)
        assert isinstance(found, Interval)
        assert found.low == np.flatnonzero(below + margin < level).max()
        assert found.high == np.flatnonzero(at_most - margin >= level).min()


def test_all_levels_hold_at_once_as_often_as_promised() -> None:
    """500 samples of 200 at confidence 0.9, 31 levels: fewer than 420 joint covers has chance 1e-5."""
    rng = np.random.default_rng(12)
    levels = np.linspace(0.2, 0.8, 31)
    samples = np.sort(rng.random((500, 200)), axis=1)
    joint, pointwise = 0, 0
    for sample in samples:
        bands = [quantile_band(sample, level, error=0.1) for level in levels]
        single = [quantile_interval(sample, level, error=0.1) for level in levels]
        joint += all(isinstance(b, Interval) and b.contains(p) for b, p in zip(bands, levels, strict=True))
        pointwise += all(isinstance(b, Interval) and b.contains(p) for b, p in zip(single, levels, strict=True))
    assert joint >= 420
    assert pointwise < 375


def test_shares_stay_probabilities() -> None:
    assert share_band(0, 50) == Interval(low=0.0, high=pytest.approx(band_margin(50)))
    assert share_band(50, 50) == Interval(low=pytest.approx(1.0 - band_margin(50)), high=1.0)
    assert isinstance(share_band(0, 0), Refused)


def test_bands_stand_beside_pointwise_intervals_in_json_and_where_asked_in_the_report() -> None:
    tables = tuple(make_table(make_point((d, d)), 800) for d in (16, 32))
    summary = summarize(SyntheticResults(tables=tables, trials=800), epsilons=(0.1,))
    plain, banded = render(summary), render(summary, bands=True)
    assert "all levels [" not in plain
    assert banded.count("all levels [") == 8
    assert "simultaneous, every level of" in " ".join(banded.split())
    assert max(len(line) for line in banded.splitlines()) <= 110
    point = to_json(summary)["points"][0]
    for told in (point["lower"][1], point["probabilities"][0]["optimistic"]):
        inner, outer = told["interval"], told["band"]
        assert outer["low"] < inner["low"] < inner["high"] < outer["high"]
