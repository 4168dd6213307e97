from hypothesis import given
from hypothesis import strategies as st

from simprune.engine.pace import MAX_RESULT_BYTES, Pace, row_bytes
from simprune.engine.queue import MIN_BLAMED, WorkQueue
from simprune.engine.todo import missing_blocks
from simprune.records import COLUMNS
from tests.engine.hash_backend import columns, design


def queue_for(study, **keywords):
    return WorkQueue(missing_blocks(study, lambda point: ()), **keywords)


def test_blocks_start_with_one_trial_and_grow_to_a_second():
    pace = Pace(bytes_per_trial=100)
    sizes = []
    for _ in range(8):
        sizes.append(pace.size())
        pace.observe(sizes[-1], 0.001 * sizes[-1])
    assert sizes == [1, 4, 16, 64, 256, 1000, 1000, 1000]


def test_a_slow_first_block_is_forgotten_at_once():
    pace = Pace(bytes_per_trial=100)
    pace.observe(1, 20.0)
    assert pace.size() == 1
    pace.observe(1, 0.001)
    assert pace.size() == 4


def test_slower_trials_make_smaller_blocks():
    pace = Pace(bytes_per_trial=100)
    for _ in range(6):
        pace.observe(1000, 1.0)
    for _ in range(4):
        pace.observe(1000, 10.0)
    assert pace.size() == 100


def test_a_result_stays_below_the_byte_limit():
    pace = Pace(bytes_per_trial=1000)
    pace.observe(10**6, 1e-3)
    assert pace.size() * 1000 <= MAX_RESULT_BYTES < (pace.size() + 1) * 1000


def test_the_last_blocks_shrink_so_that_workers_end_together():
    pace = Pace(bytes_per_trial=100)
    pace.observe(1000, 1.0)
    left, sizes = 3000, []
    while left:
        sizes.append(min(left, pace.size(n_left=left)))
        left -= sizes[-1]
    assert sizes[0] == 750
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-2] == 125
    assert len(sizes) < 20


def test_row_bytes_are_those_of_the_columns():
    points = design(trials=1).points()[:2]
    assert len(columns(points[0], 0, 1)) == len(COLUMNS)
    assert row_bytes(points) == sum(c.nbytes for p in points for c in columns(p, 0, 1).values())


@given(
    trials=st.integers(1, 60),
    size=st.one_of(st.none(), st.integers(1, 70)),
    bad=st.sets(st.integers(0, 59), max_size=4),
    seconds=st.floats(1e-4, 2.0),
)
def test_every_trial_is_computed_or_blamed_exactly_once(trials, size, bad, seconds):
    study = design(trials=trials)
    queue = queue_for(study, block_trials=size)
    rows = []

    def drain(take, *, alone):
        while (block := take()) is not None:
            assert size is None or block.n_trials <= size
            if bad & set(range(block.first, block.stop)):
                queue.failed_once(block, "bad", alone=alone)
                continue
            queue.finished(block, seconds * block.n_trials)
            rows.extend((point, trial) for point in block.points for trial in range(block.first, block.stop))

    while queue.has_work:
        drain(queue.take, alone=False)
        drain(queue.take_suspect, alone=True)
    wanted = {(point, trial) for point in study.points() for trial in range(trials)}
    blamed = {(f.point, f.trial) for f in queue.failed}
    assert len(rows) == len(set(rows))
    assert len(queue.failed) == len(blamed)
    assert blamed <= {(point, trial) for point, trial in wanted if trial in bad}
    assert len(rows) + len(blamed) + queue.n_given_up == len(wanted)
    if len(bad) < 2:
        assert blamed == {(point, trial) for point, trial in wanted if trial in bad}


def test_only_one_network_at_a_time_is_tried_first():
    queue = queue_for(design(trials=50, widths=(4, 8, 16)))
    first = queue.take()
    assert (first.n_trials, queue.take()) == (1, None)
    queue.finished(first, 1e-3)
    second = queue.take()
    others = [queue.take() for _ in range(3)]
    assert second.points[0].network != first.points[0].network
    assert {b.points[0].network for b in others} == {first.points[0].network}


def test_a_single_bad_point_of_a_block_is_found():
    study = design(trials=1, widths=(4,))
    bad = study.points()[1]
    queue = queue_for(study)
    queue.failed_once(queue.take(), "bad", alone=False)
    while (block := queue.take_suspect()) is not None:
        if bad in block.points:
            queue.failed_once(block, "bad", alone=True)
        else:
            queue.finished(block, 1e-3)
    assert [(f.point, f.trial, f.reason) for f in queue.failed] == [(bad, 0, "bad")]


def test_a_single_trial_is_not_blamed_for_failing_in_company():
    queue = queue_for(design(trials=1, widths=(4,), alphas=(0.5,)))
    block = queue.take()
    assert queue.failed_once(block, "worker died", alone=False) is None
    assert queue.take() is None
    queue.finished(queue.take_suspect(), 1e-3)
    assert not queue.failed
    assert not queue.has_work


def test_a_network_whose_trials_all_fail_is_given_up_soon():
    queue = queue_for(design(trials=10**6, widths=(4,), alphas=(0.5,)), block_trials=100)
    n_tried = 0
    while queue.has_work:
        for take, alone in ((queue.take, False), (queue.take_suspect, True)):
            while (block := take()) is not None:
                n_tried += 1
                queue.failed_once(block, "bad", alone=alone)
    assert len(queue.failed) == MIN_BLAMED
    assert queue.n_given_up == 10**6 - MIN_BLAMED
    assert n_tried < 64
