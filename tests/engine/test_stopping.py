"""Adaptive stopping: the same decisions for any blocks, workers and interruptions, and a promise that is kept."""

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from scipy.stats import binomtest

from simprune.design.stopping import StoppingRule
from simprune.engine import StopRequest, run
from simprune.engine.stopping import Stopper, look
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.serial import SerialScheduler
from simprune.store.folder import FolderStore
from simprune.store.memory import MemoryStore
from simprune.store.pack import pack
from simprune.store.results import open_results
from tests.engine.hash_backend import HashBackend, columns, design

TOP = 2.0**32
HALF = StoppingRule(quantity="probability", epsilon=0.5 * TOP, first=10, growth=1.5)
RULES = (
    HALF,
    dataclasses.replace(HALF, epsilon=0.04 * TOP),
    dataclasses.replace(HALF, epsilon=0.999 * TOP, width=0.05),
    StoppingRule(quantity="quantile", level=0.5, width=0.3, first=20, growth=1.3),
    StoppingRule(quantity="quantile", level=0.9, width=0.1, side="certified", first=20, growth=1.3),
    StoppingRule(quantity="mean", width=0.2, first=30, growth=1.2),
)


def study_of(rule, *, trials=600):
    return dataclasses.replace(design(trials=trials, widths=(4, 6), alphas=(0.3, 0.5)), stopping=rule)


def expected_stops(study):
    return _expected_stops(study.stopping, study.trials)


@cache
def _expected_stops(rule, trials):
    """The obvious twin: look at the first n rows of every point, n after n, until enough."""
    study, found = study_of(rule, trials=trials), {}
    for point in study.points():
        rows = columns(point, 0, study.trials)
        for n in rule.checks(study.trials):
            judged = look(rule, rows["gap_lower"][:n], rows["gap_upper"][:n], delta=study.delta)
            if judged.enough:
                break
        found[point.digest()] = (n, judged.low, judged.high, judged.enough or "all trials asked for are done")
    return found


def told(stops):
    return {stop.digest: (stop.trials, stop.low, stop.high, stop.reason) for stop in stops}


class Interrupting(SerialScheduler):
    """Asks the run to stop after a number of blocks."""

    def __init__(self, stop, after):
        super().__init__()
        self._stop, self._left = stop, after

    def map(self, compute, blocks, *, alone=False):
        for outcome in super().map(compute, blocks, alone=alone):
            self._left -= 1
            if self._left <= 0:
                self._stop.request()
            yield outcome


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.quantity}-{r.side}")
def test_points_stop_where_the_obvious_twin_stops(rule):
    study, store = study_of(rule), MemoryStore()
    report = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    wanted = expected_stops(study)
    assert told(report.stops) == told(store.stops) == wanted
    for point in study.points():
        assert store.completed(point) == ((0, wanted[point.digest()][0]),)
    assert report.complete
    assert not report.stopped


def test_rules_of_the_tests_stop_early_and_late():
    numbers = [n for rule in RULES for n, *_ in expected_stops(study_of(rule)).values()]
    assert min(numbers) < 60
    assert max(numbers) == 600


@pytest.mark.parametrize("rule", [HALF, RULES[3]], ids=lambda r: r.quantity)
@pytest.mark.parametrize("seed", range(2))
def test_interruptions_and_blocks_change_no_decision(tmp_path, rule, seed):
    rng, study = np.random.default_rng(seed), study_of(rule)
    wanted = expected_stops(study)
    for _ in range(200):
        stop = StopRequest()
        with FolderStore.open(tmp_path / "results", study, provenance={}) as store:
            report = run(
                study,
                backend=HashBackend(),
                scheduler=Interrupting(stop, int(rng.integers(3, 25))),
                store=store,
                stop=stop,
                block_trials=int(rng.integers(5, 60)),
            )
        if not report.stopped:
            break
    assert told(report.stops) == wanted
    results = open_results(tmp_path / "results")
    assert told(results.stops) == wanted
    for point in study.points():
        n = wanted[point.digest()][0]
        assert results.completed(point) == ((0, n),)
        assert results.table(point)["gap_lower"].tobytes() == columns(point, 0, n)["gap_lower"].tobytes()
    pack(tmp_path / "results", tmp_path / "packed.h5")
    assert told(open_results(tmp_path / "packed.h5").stops) == wanted


def test_progress_shows_the_interval_of_the_last_look():
    seen, study = [], study_of(HALF)
    run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=MemoryStore(), progress=seen.append)
    wanted = expected_stops(study)
    for point in seen[-1].points:
        n, low, high, *_ = wanted[point.point.digest()]
        assert (point.interval.quantity, point.interval.n_trials) == (f"P(gap > {HALF.epsilon:g})", n)
        assert (point.interval.low, point.interval.high) == (low, high)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_decision(workers):
    study, store = study_of(HALF), MemoryStore()
    scheduler = DaskScheduler(workers=workers)
    try:
        report = run(study, backend=HashBackend(), scheduler=scheduler, store=store)
    finally:
        scheduler.close()
    assert told(report.stops) == expected_stops(study)


def test_a_run_that_is_done_computes_nothing_and_more_trials_are_added(tmp_path):
    rule = dataclasses.replace(HALF, epsilon=0.95 * TOP)
    diary = tmp_path / "diary"
    small, large = study_of(rule, trials=40), study_of(rule, trials=900)
    with FolderStore.open(tmp_path / "results", small, provenance={}) as store:
        first = run(small, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert {stop.trials for stop in first.stops} == {40}
    for computed in (True, False):
        with FolderStore.open(tmp_path / "results", large, provenance={}) as store:
            diary.write_text("")
            report = run(large, backend=HashBackend(diary=str(diary)), scheduler=SerialScheduler(), store=store)
        assert bool(diary.read_text()) == computed
        assert told(report.stops) == expected_stops(large)
        assert report.complete


def test_rows_beyond_the_stop_are_not_looked_at():
    rule, store = HALF, MemoryStore()
    fixed = dataclasses.replace(study_of(rule), stopping=None)
    run(fixed, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    report = run(study_of(rule), backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert report.n_computed == 0
    assert told(report.stops) == expected_stops(study_of(rule))


def test_failed_trials_are_left_out_and_not_tried_twice():
    study, store = study_of(HALF), MemoryStore()
    report = run(study, backend=HashBackend(raises=(3,)), scheduler=SerialScheduler(), store=store)
    assert {failure.trial for failure in report.failed} == {3}
    assert len(report.failed) == len(study.points())
    for point, stop in zip(study.points(), report.stops, strict=True):
        rows = columns(point, 0, stop.trials)
        kept = rows["trial"] != 3
        judged = look(HALF, rows["gap_lower"][kept], rows["gap_upper"][kept], delta=study.delta)
        assert (stop.low, stop.high) == (judged.low, judged.high)


def test_a_total_is_spent_on_the_points_that_need_least():
    rule = StoppingRule(quantity="probability", epsilon=0.95 * TOP, first=20, growth=1.5, total=400)
    study, store = study_of(rule, trials=5000), MemoryStore()
    report = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert sum(stop.trials for stop in report.stops) <= 400
    assert report.complete
    assert any("total of 400" in stop.reason for stop in report.stops)
    again = run(study, backend=HashBackend(), scheduler=SerialScheduler(), store=store)
    assert told(again.stops) == told(report.stops)
    assert again.n_computed == 0


def test_a_total_below_the_first_look_is_shared_evenly():
    rule = dataclasses.replace(HALF, first=100, total=40)
    stopper = Stopper(study_of(rule), rule)
    assert set(stopper.targets.values()) == {10}
    assert not stopper.advance()
    assert all("total of 40" in stop.reason for stop in stopper.stops)


def test_the_side_of_the_truth_is_kept():
    """Attained gaps below epsilon prove nothing while certified ones are above it, and the other way round."""
    rule = StoppingRule(quantity="probability", epsilon=1.0)
    low, high, n = np.full(5000, 0.5), np.full(5000, 2.0), 5000
    assert look(rule, low, low, delta=0.05).enough
    assert look(rule, high, high, delta=0.05).enough
    assert look(rule, low, high, delta=0.05).enough is None
    assert look(rule, low, np.full(n, math.inf), delta=0.05).enough is None
    watched = dataclasses.replace(rule, quantity="mean", epsilon=None, width=0.1, side="certified")
    assert look(watched, low, np.full(n, math.inf), delta=0.05).enough is None


@pytest.mark.slow
def test_exact_boundary_is_excluded_no_more_often_than_promised():
    """2000 campaigns with P(gap > epsilon) = delta exactly, looked at 20 times: any decision is a false one."""
    rule, delta, campaigns = StoppingRule(quantity="probability", epsilon=0.5, first=50), 0.05, 2000
    checks, rng, known = rule.checks(4000), np.random.default_rng(11), {}
    excluded = 0
    for _ in range(campaigns):
        counts = np.cumsum(rng.random(checks[-1]) < delta)
        for n in checks:
            key = (n, int(counts[n - 1]))
            if key not in known:
                gaps = (np.arange(n) < key[1]).astype(np.float64)
                known[key] = look(rule, gaps, gaps, delta=delta).enough is not None
            if known[key]:
                excluded += 1
                break
    assert len(checks) >= 20
    assert binomtest(excluded, campaigns, 1.0 - rule.confidence, alternative="greater").pvalue > 1e-4
    assert excluded > 0
