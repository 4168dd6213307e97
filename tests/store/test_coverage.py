import numpy as np

from simprune.records import merge_ranges, missing_ranges
from simprune.store.coverage import Coverage


def test_coverage_equals_a_set_of_trials() -> None:
    random = np.random.default_rng(3)
    for _ in range(60):
        coverage, trials = Coverage(), set()
        for _ in range(30):
            first = int(random.integers(0, 50))
            stop = first + int(random.integers(0, 8))
            missing = set().union(*(range(*r) for r in coverage.missing("p", first, stop)))
            assert missing == set(range(first, stop)) - trials
            coverage.add("p", first, stop)
            trials |= set(range(first, stop))
            assert coverage.ranges("p") == merge_ranges([(t, t + 1) for t in trials])
            assert coverage.missing("p", 0, 60) == missing_ranges(coverage.ranges("p"), 60)


def test_a_million_trials_in_order_are_one_range() -> None:
    coverage = Coverage()
    for first in range(0, 1_000_000, 100):
        coverage.add("p", first, first + 100)
    assert coverage.ranges("p") == ((0, 1_000_000),)
