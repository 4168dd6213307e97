"""Families of points, exact bootstrap of quantiles, and exponents recovered from power laws."""

import numpy as np
import pytest

from simprune.analysis.estimates import Refused
from simprune.analysis.exponents import ExponentLaboratory
from simprune.analysis.families import families, settings
from simprune.analysis.scaling import REPLICATES, ExponentFit, QuantileSample, fit_exponent, quantile_sample
from simprune.model.activations import Tanh
from simprune.model.pruning import MagnitudePruning, RandomPruning
from tests.analysis.synthetic import make_point

KEY = "ab" * 32


def power_law(widths: tuple[int, ...], exponent: float, *, n: int = 400, seed: int = 0) -> list[QuantileSample]:
    rng = np.random.default_rng(seed)
    samples = []
    for d in widths:
        gaps = np.sort(5.0 * d**-exponent * np.exp(0.3 * rng.standard_normal(n)))
        sample = quantile_sample(gaps, 0.5, key=f"{d:08x}" * 8)
        assert isinstance(sample, QuantileSample)
        samples.append(sample)
    return samples


def test_square_and_fixed_end_families_are_told_apart() -> None:
    widths = [(8, 8, 8), (16, 16, 16), (32, 32, 32), (8, 64, 8), (8, 128, 8), (7, 5, 3)]
    found = {family.pattern: family for family in families([make_point(w) for w in widths])}
    assert found["d-d-d"].members == (0, 1, 2)
    assert found["d-d-d"].widths == (8, 16, 32)
    assert found["d-d-d"].growing == (True, True, True)
    assert found["8-d-8"].members == (0, 3, 4)
    assert found["8-d-8"].growing == (False, True, False)
    assert set(found) == {"d-d-d", "8-d-8"}


def test_proportional_widths_are_a_family_in_ascending_order() -> None:
    (family,) = families([make_point(w) for w in [(10, 40, 20), (10, 20, 10), (10, 80, 40)]])
    assert (family.pattern, family.members, family.widths) == ("10-d-1/2d", (1, 0, 2), (20, 40, 80))


def test_points_that_differ_in_more_than_width_are_no_family() -> None:
    points = [
        make_point((8, 8)),
        make_point((16, 16), rule=RandomPruning(alpha=0.3)),
        make_point((32, 32), rule=MagnitudePruning(alpha=0.4)),
        make_point((64, 64), activation=Tanh()),
        make_point((64, 64, 64)),
        make_point((128, 128), seed=2),
    ]
    assert families(points) == ()
    assert len(settings(points)) == 6


@pytest.mark.parametrize("exponent", [0.3, 0.9, -0.35, 0.0])
def test_exponents_of_power_laws_are_recovered(exponent: float) -> None:
    """The slope's standard error is 0.017 (median of 400, spread 0.3, four octaves): 0.08 is more than 4 of them."""
    widths = (16, 32, 64, 128)
    fit = fit_exponent(widths, power_law(widths, exponent))
    assert isinstance(fit, ExponentFit)
    assert fit.exponent == pytest.approx(exponent, abs=0.08)
    assert len(fit.local) == 3
    assert fit.residual is not None
    assert 0.0 < fit.residual < 0.1


def test_noiseless_power_law_is_recovered_exactly() -> None:
    widths = (10, 20, 70)
    samples = [QuantileSample(level=0.5, value=d**-1.25, replicates=np.full(9, d**-1.25), n_rows=99) for d in widths]
    fit = fit_exponent(widths, samples)
    assert isinstance(fit, ExponentFit)
    assert (fit.exponent, fit.interval.low, fit.interval.high) == pytest.approx((1.25, 1.25, 1.25))
    assert fit.local == pytest.approx((1.25, 1.25))
    assert fit.residual == pytest.approx(0.0, abs=1e-12)


def test_bootstrap_intervals_cover() -> None:
    """200 fits; nominal coverage 0.95 (standard error 0.0154): below 0.88 or above 0.995 is 4.5 sigma or certain trouble."""
    widths = (16, 64, 256)
    fits = [fit_exponent(widths, power_law(widths, 0.6, n=150, seed=seed)) for seed in range(200)]
    covered = sum(fit.interval.contains(0.6) for fit in fits if isinstance(fit, ExponentFit))
    assert 0.88 <= covered / 200 <= 0.995


def test_beta_bootstrap_equals_resampling() -> None:
    """Both replicate the 0.9 quantile of the same 80 values; means of 2000 replicates agree within 5 standard errors."""
    rng = np.random.default_rng(4)
    ordered = np.sort(rng.exponential(size=80))
    quick = quantile_sample(ordered, 0.9, key=KEY)
    assert isinstance(quick, QuantileSample)
    slow = np.sort(rng.choice(ordered, size=(REPLICATES, 80)), axis=1)[:, 71]
    error = np.hypot(quick.replicates.std(), slow.std()) / np.sqrt(REPLICATES)
    assert abs(quick.replicates.mean() - slow.mean()) < 5.0 * error
    assert quick.replicates.std() == pytest.approx(slow.std(), rel=0.15)


def test_replicates_depend_on_key_and_level_alone() -> None:
    ordered = np.arange(1.0, 201.0)
    first, again = quantile_sample(ordered, 0.5, key=KEY), quantile_sample(ordered, 0.5, key=KEY)
    other = quantile_sample(ordered, 0.5, key="cd" * 32)
    assert isinstance(first, QuantileSample)
    assert isinstance(again, QuantileSample)
    assert isinstance(other, QuantileSample)
    np.testing.assert_array_equal(first.replicates, again.replicates)
    assert (first.replicates != other.replicates).any()


def test_two_widths_give_a_slope_but_no_residual() -> None:
    fit = fit_exponent((16, 32), power_law((16, 32), 0.5))
    assert isinstance(fit, ExponentFit)
    assert fit.residual is None


def test_refusals_say_why() -> None:
    few = quantile_sample(np.arange(1.0, 31.0), 0.95, key=KEY)
    assert isinstance(few, Refused)
    assert few.needed == 72
    refused = fit_exponent((16, 32), [power_law((16,), 0.5)[0], few])
    assert isinstance(refused, Refused)
    assert refused.needed == 72
    assert isinstance(fit_exponent((16,), power_law((16,), 0.5)), Refused)
    zero = quantile_sample(np.zeros(100), 0.5, key=KEY)
    zeros = fit_exponent((16, 32), [zero, zero])
    assert isinstance(zeros, Refused)
    assert "0 or infinite" in zeros.reason
    some = quantile_sample(np.array([0.0] * 49 + [1.0] * 51), 0.5, key=KEY)
    partly = fit_exponent((16, 32), [some, some])
    assert isinstance(partly, Refused)
    assert "noise floor" in partly.reason


def test_laboratory_fits_every_family_whatever_the_order_and_forgets_samples() -> None:
    points = [make_point(w) for w in [(8, 8), (7, 3), (32, 32), (16, 16)]]
    laboratory = ExponentLaboratory(points, (0.5,))
    assert sorted(laboratory.reading_order()) == [0, 1, 2, 3]
    gaps = {i: np.sort(np.full(100, float(p.network.widths[0]) ** -0.9)) for i, p in enumerate(points)}
    for i in laboratory.reading_order():
        laboratory.add(i, laboratory.samples(i, gaps[i], gaps[i][:0]))
    (family,) = laboratory.summaries()
    assert (family.points, family.widths, family.pattern) == ((0, 3, 2), (8, 16, 32), "d-d")
    assert (family.theorem1, family.sharp) == (0.3, pytest.approx(0.9))
    attained, certified = family.fits
    assert isinstance(attained.fit, ExponentFit)
    assert attained.fit.exponent == pytest.approx(0.9)
    assert isinstance(certified.fit, Refused)
    assert laboratory.held() == 0
