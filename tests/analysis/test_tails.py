"""Generalised Pareto tails: likelihood and interval against slow twins, coverage by simulation, refusals."""

import json

import numpy as np
import pytest
from scipy import stats

from simprune.analysis import render, summarize
from simprune.analysis.estimates import Refused
from simprune.analysis.json_form import to_text
from simprune.analysis.pareto import distances, fit_p_values, fit_pareto, log_survival, pareto_quantile
from simprune.analysis.pareto_interval import Exceedances, profile_interval
from simprune.analysis.tails import Tail, tail
from simprune.model.errors import InputError
from tests.analysis.synthetic import SyntheticResults, make_point, make_table

SEED = [7]


def drawn(law: object, n: int, seed: int = 0) -> np.ndarray:
    return np.sort(law.rvs(size=n, random_state=np.random.default_rng(seed)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.0, 0.3, 1.0, 3.0])
def test_no_law_of_scipys_fit_is_likelier(shape: float) -> None:
    samples = np.stack([drawn(stats.genpareto(shape, scale=2e-3), 300, seed) for seed in range(3)])
    for sample, *found in zip(samples, *fit_pareto(samples), strict=True):
        theirs = stats.genpareto.fit(sample, floc=0.0)
        ours = stats.genpareto.logpdf(sample, found[0], scale=found[1]).sum()
        assert ours >= stats.genpareto.logpdf(sample, theirs[0], scale=theirs[2]).sum() - 1e-5


@pytest.mark.parametrize("shape", [-0.4, 0.0, 1e-12, 0.7])
def test_survival_and_quantile_are_those_of_scipy(shape: float) -> None:
    y, p = np.linspace(0.0, 4.0, 9), np.array([1e-9, 0.1, 0.9])
    np.testing.assert_allclose(log_survival(y, shape, 2.0), stats.genpareto.logsf(y, shape, scale=2.0), rtol=1e-8)
    np.testing.assert_allclose(pareto_quantile(p, shape, 2.0), stats.genpareto.isf(p, shape, scale=2.0), rtol=1e-7)


def test_distances_equal_their_definitions() -> None:
    y = drawn(stats.expon(), 50)
    (darling,), (smirnov,) = distances(y[None, :], np.array([-0.1]), np.array([1.2]))
    z = stats.genpareto.cdf(y, -0.1, scale=1.2)
    ranks = np.arange(1, 51)
    assert darling == pytest.approx(-50 - np.mean((2 * ranks - 1) * (np.log(z) + np.log(1 - z[::-1]))))
    assert smirnov == pytest.approx(stats.kstest(z, "uniform").statistic)


def test_p_values_of_the_fit_are_uniform_where_the_law_holds() -> None:
    """200 samples; the share of p <= 0.2 has standard error 0.028, and 0.08 .. 0.32 is more than 4 of them."""
    found = np.array([fit_p_values(drawn(stats.genpareto(-0.1), 80, s), seed=[s], replicates=49) for s in range(200)])
    assert ((found <= 0.2).mean(axis=0) > 0.08).all()
    assert ((found <= 0.2).mean(axis=0) < 0.32).all()
    bent = drawn(stats.weibull_min(3.0), 400)
    assert max(fit_p_values(bent, seed=SEED, replicates=99)) <= 0.02


def exceedances(values: np.ndarray, k: int) -> tuple[Exceedances, float]:
    excesses = values[-k:] - values[-k - 1]
    shape, scale = (float(fitted[0]) for fitted in fit_pareto(excesses[None, :]))
    return Exceedances(excesses=excesses, n_rows=len(values), shape=shape, scale=scale), float(values[-k - 1])


@pytest.mark.parametrize("law", [stats.expon(), stats.genpareto(0.2), stats.genpareto(-0.3)])
def test_interval_is_the_image_of_the_likelihood_region(law: object) -> None:
    """The twin walks over a grid of laws: the quantiles of those whose deviance is below the limit."""
    n, k, delta = 2000, 200, 2e-4
    found, _ = exceedances(drawn(law, n), k)
    estimate = float(pareto_quantile(delta * n / k, found.shape, found.scale))
    low, high = profile_interval(found, estimate, delta=delta, error=0.05)
    best = found.log_likelihood(found.shape, np.log(found.scale), k / n)
    reached = []
    for shape in found.shape + np.linspace(-0.4, 0.5, 41):
        for log_scale in np.log(found.scale) + np.linspace(-0.4, 0.4, 41):
            for share in k / n * np.exp(np.linspace(-0.2, 0.2, 5)):
                if 2.0 * (best - found.log_likelihood(shape, log_scale, share)) <= stats.chi2.isf(0.05, 1):
                    reached.append(float(pareto_quantile(delta / share, shape, np.exp(log_scale))))
    assert high is not None
    assert low == pytest.approx(min(reached), rel=0.05)
    assert high == pytest.approx(max(reached), rel=0.05)
    assert low <= min(reached)
    assert high >= max(reached)


@pytest.mark.slow
@pytest.mark.parametrize("law", [stats.genpareto(-0.2), stats.expon(), stats.lognorm(0.2)])
def test_intervals_cover(law: object) -> None:
    """100 samples of 2000; coverage 0.9 has standard error 0.03, so less than 0.78 is 4 of them."""
    covered = []
    for seed in range(100):
        found = tail(drawn(law, 2000, seed), 2e-4, seed=[seed])
        if isinstance(found, Tail):
            covered.append(found.interval.contains(law.isf(2e-4)))  # type: ignore[attr-defined]
    assert len(covered) >= 85
    assert np.mean(covered) >= 0.78


def test_a_tail_tells_how_it_was_found() -> None:
    values = drawn(stats.expon(), 5000, 1)
    found = tail(values, 1e-4, seed=SEED)
    assert isinstance(found, Tail)
    assert found.extrapolated
    assert found.interval.low < found.value < found.interval.high
    assert found.interval.contains(-np.log(1e-4))
    assert [fit.exceedances for fit in found.fits] == [500, 375, 250, 175, 125]
    assert found.fit == found.fits[0]
    assert found.fit.threshold == values[-501]
    assert abs(found.fit.shape) < 4.0 * found.fit.shape_error
    assert isinstance(found.counted.interval, Refused)
    assert found.counted.value == values[-1]
    assert found.anderson_darling_p >= 0.1
    assert tail(values, 1e-4, seed=SEED) == found


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**40])
def test_units_do_not_matter(scale: float) -> None:
    values = drawn(stats.lognorm(0.3), 3000, 4)
    plain, scaled = tail(values, 1e-4, seed=SEED), tail(scale * values, 1e-4, seed=SEED)
    assert isinstance(plain, Tail)
    assert isinstance(scaled, Tail)
    assert scaled.fit.exceedances == plain.fit.exceedances
    assert scaled.value == pytest.approx(scale * plain.value, rel=1e-6)
    assert scaled.interval.low == pytest.approx(scale * plain.interval.low, rel=1e-4)
    assert scaled.interval.high == pytest.approx(scale * plain.interval.high, rel=1e-4)


def test_a_counted_quantile_and_the_extrapolated_one_agree_where_both_exist() -> None:
    values = drawn(stats.norm(), 20_000, 2)
    found = tail(values, 1e-3, seed=SEED)
    assert isinstance(found, Tail)
    assert not isinstance(found.counted.interval, Refused)
    assert found.counted.interval.contains(found.value)


TWO_HUMPS = np.sort(np.concatenate([np.linspace(0.0, 1.0, 4940), 10.0 + 0.1 * drawn(stats.norm(), 60, 3)]))


def test_the_threshold_rises_to_where_one_law_holds() -> None:
    heavy = 1.0 + drawn(stats.genpareto(0.7, scale=1e-2), 300, 3)
    found = tail(np.concatenate([np.linspace(0.0, 1.0, 4700), heavy]), 1e-3, seed=SEED)
    assert isinstance(found, Tail)
    assert found.fit.exceedances == 250


@pytest.mark.parametrize(
    ("values", "delta", "reason", "needed"),
    [
        (np.arange(1999.0), 1e-3, "too few large values", 2000),
        (drawn(stats.expon(), 3000), 1e-6, "say nothing so far beyond", 100_000),
        (drawn(stats.expon(), 3000), 0.05, "lies inside the data", None),
        (np.where(np.arange(3000) < 2999, np.linspace(0, 1, 3000), np.inf), 1e-3, "not finite", None),
        (np.where(np.arange(3000) < 2999, np.linspace(0, 1, 3000), np.nan), 1e-3, "not finite", None),
        (np.sort(np.round(drawn(stats.expon(), 3000), 1)), 1e-3, "tie", None),
        (np.zeros(3000), 1e-3, "tie", None),
        (np.linspace(0.0, 1.0, 3000), 1e-3, "pile up at their largest", None),
        (TWO_HUMPS, 1e-3, "do not follow|shape changes|no mean", None),
        (drawn(stats.genpareto(2.0), 3000), 1e-3, "no mean", None),
    ],
)
def test_data_that_carry_no_tail_are_refused(values: np.ndarray, delta: float, reason: str, needed: int | None) -> None:
    found = tail(values, delta, seed=SEED)
    assert isinstance(found, Refused)
    assert any(part in found.reason for part in reason.split("|"))
    assert found.needed == needed


def test_report_and_json_call_it_extrapolated() -> None:
    points = [make_point((d, d)) for d in (16, 32)]
    tables = (make_table(points[0], 3000), make_table(points[1], 2500, certified=300))
    summary = summarize(SyntheticResults(tables=tables, trials=3000), epsilons=(0.1,), tails=(1e-4, 1e-9))
    text = render(summary)
    assert max(len(line) for line in text.splitlines()) <= 110
    section = text[text.index("9. Tails (extrapolated)") :]
    assert "EXTRAPOLATED [interval]" in section
    assert "300 rows have too few large values for a tail; 2000 would be enough." in section
    assert section.count("refused (") == 5
    first, second = json.loads(to_text(summary))["points"]
    assert first["tails"][0]["lower"]["extrapolated"] is True
    far = "3000 rows say nothing so far beyond the largest of them"
    assert first["tails"][1]["lower"] == {"refused": far, "needed": 10**8}
    assert second["tails"][0]["upper"]["needed"] == 2000
    assert "9. Tails" not in render(summarize(SyntheticResults(tables=tables), epsilons=(0.1,)))


@pytest.mark.parametrize("delta", [0.0, 1.0, float("nan")])
def test_bad_deltas_are_refused(delta: float) -> None:
    with pytest.raises(InputError, match="delta of a tail"):
        summarize(SyntheticResults(tables=(make_table(make_point((8, 8)), 5),)), tails=(delta,))
