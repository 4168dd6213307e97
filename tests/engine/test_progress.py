from dataclasses import replace

import numpy as np
import pytest

from simprune.engine.progress import REPORT_SECONDS, Meter
from simprune.engine.queue import WorkQueue
from simprune.engine.report import Failure
from simprune.engine.todo import missing_blocks
from simprune.engine.watched import Tally
from simprune.records import TrialBatch
from simprune.theory.sequences import probability_sequence
from tests.engine.hash_backend import columns, design


class Bench:
    """A run of one network by a clock that the test moves."""

    def __init__(self, trials, *, done=0, **keywords):
        self.now = 100.0
        self.study = design(trials=trials, widths=(4,), **keywords)
        todo = missing_blocks(self.study, lambda point: ((0, done),) if done else ())
        self.queue = WorkQueue(todo, block_trials=10)
        self.meter = Meter(self.study, dict.fromkeys(self.study.points(), done), clock=lambda: self.now)

    def compute(self, seconds):
        block = self.queue.take()
        self.now += seconds
        batches = [
            TrialBatch(point=p, first=block.first, stop=block.stop, columns=columns(p, block.first, block.stop), info={})
            for p in block.points
        ]
        self.queue.finished(block, seconds)
        self.meter.stored(block, batches)


def test_unknown_is_none_then_the_forecast_is_exact_for_even_work():
    bench = Bench(100)
    before = bench.meter.snapshot(bench.queue)
    assert (before.done, before.target, before.rows_per_second, before.remaining_seconds) == (0, 300, None, None)
    for _ in range(4):
        bench.compute(2.0)
    after = bench.meter.snapshot(bench.queue)
    assert (after.done, after.elapsed_seconds) == (120, 8.0)
    assert after.rows_per_second == pytest.approx(15.0)
    assert after.remaining_seconds == pytest.approx(12.0)


def test_rows_stored_earlier_count_as_done_but_not_in_the_rate():
    bench = Bench(100, done=50)
    bench.compute(1.0)
    snapshot = bench.meter.snapshot(bench.queue)
    assert [p.done for p in snapshot.points] == [60, 60, 60]
    assert snapshot.rows_per_second == pytest.approx(30.0)


def test_remaining_time_is_never_negative_and_zero_at_the_end():
    bench = Bench(100)
    for _ in range(10):
        bench.compute(0.5)
        remaining = bench.meter.snapshot(bench.queue).remaining_seconds
        assert remaining is None or remaining >= 0.0
    assert bench.meter.snapshot(bench.queue).remaining_seconds == 0.0
    assert bench.meter.snapshot(bench.queue, finished=True).finished


def test_a_pause_shows_as_no_rate():
    bench = Bench(100)
    bench.compute(1.0)
    bench.now += 1000.0
    snapshot = bench.meter.snapshot(bench.queue)
    assert (snapshot.rows_per_second, snapshot.remaining_seconds) == (None, None)


def test_reports_are_not_more_frequent_than_promised():
    bench = Bench(10)
    due = []
    for _ in range(40):
        bench.now += REPORT_SECONDS / 4
        due.append(bench.meter.is_due())
    assert sum(due) == 10


def test_gaps_are_counted_for_the_first_epsilon():
    bench = Bench(100)
    assert bench.meter.snapshot(bench.queue).points[0].interval is None
    point = bench.study.points()[0]
    meter = Meter(replace(bench.study, epsilons=(0.5, 9.0)), dict.fromkeys(bench.study.points(), 0))
    random = np.random.default_rng(1)
    lower = random.random(300)
    for rows in (slice(0, 100), slice(100, 300)):
        meter.remember(point, {"gap_lower": lower[rows], "gap_upper": lower[rows] + 0.1})
    told = next(p for p in meter.snapshot(bench.queue).points if p.point == point)
    assert told.watched == Tally(
        epsilon=0.5, n_trials=300, surely=int((lower > 0.5).sum()), perhaps=int((lower + 0.1 > 0.5).sum())
    )
    low, _ = probability_sequence(told.watched.surely, 300, error=0.025)
    _, high = probability_sequence(told.watched.perhaps, 300, error=0.025)
    assert (told.interval.low, told.interval.high) == (1.0 - high, 1.0 - low)


def test_failures_are_told_by_point():
    bench = Bench(4)
    point = bench.study.points()[1]
    bench.queue.failed += [Failure(point=point, trial=trial, reason="bad") for trial in (1, 3)]
    assert [p.n_failed for p in bench.meter.snapshot(bench.queue).points] == [0, 2, 0]


@pytest.mark.slow
def test_the_interval_may_be_looked_at_any_number_of_times():
    """Looks after every 20 of 400 trials, P(gap <= epsilon) = 0.9: a 95 % sequence errs ever in at most 5 % of runs."""
    random, wrong = np.random.default_rng(7), 0
    for _ in range(100):
        gaps = random.random((20, 20))
        tally = Tally(epsilon=0.9)
        for rows in gaps:
            tally = tally.with_rows({"gap_lower": rows, "gap_upper": rows})
            if not tally.interval().low <= 0.9 <= tally.interval().high:
                wrong += 1
                break
    assert wrong <= 12  # P(more | 5 %) < 0.002
