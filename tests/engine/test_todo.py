import pytest
from hypothesis import given
from hypothesis import strategies as st

from simprune.design.block import family
from simprune.engine.todo import missing_blocks
from simprune.records import merge_ranges
from tests.engine.hash_backend import design

ranges = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)).map(lambda r: (r[0], r[0] + r[1])), max_size=6)


@given(trials=st.integers(1, 40), done=st.lists(ranges, min_size=6, max_size=6))
def test_blocks_cover_exactly_what_is_missing_once(trials, done):
    study = design(trials=trials)
    stored = {point: merge_ranges(r) for point, r in zip(study.points(), done, strict=True)}
    computed = {point: [] for point in study.points()}
    for key, blocks in missing_blocks(study, stored.__getitem__).items():
        assert list(blocks) == sorted(blocks, key=lambda b: b.first)
        for block in blocks:
            assert {family(point) for point in block.points} == {key}
            for point in block.points:
                computed[point] += range(block.first, block.stop)
    for point, r in stored.items():
        held = {trial for first, stop in r for trial in range(first, stop)}
        assert computed[point] == [trial for trial in range(trials) if trial not in held]


@given(done=st.lists(ranges, min_size=6, max_size=6))
def test_a_block_holds_all_points_that_miss_its_trials(done):
    study = design(trials=40)
    stored = {point: merge_ranges(r) for point, r in zip(study.points(), done, strict=True)}
    for key, blocks in missing_blocks(study, stored.__getitem__).items():
        for block in blocks:
            for trial in range(block.first, block.stop):
                needy = [
                    p
                    for p in study.points()
                    if family(p) == key and not any(first <= trial < stop for first, stop in stored[p])
                ]
                assert list(block.points) == needy


def test_nothing_stored_gives_one_block_a_network():
    study = design(trials=100, widths=(4, 8, 16), alphas=(0.2, 0.4))
    todo = missing_blocks(study, lambda point: ())
    assert [(len(b.points), b.first, b.stop) for blocks in todo.values() for b in blocks] == [(2, 0, 100)] * 3


@pytest.mark.parametrize("total", [5, 100])
def test_more_stored_than_wanted_is_nothing_to_do(total):
    assert not missing_blocks(design(trials=total), lambda point: ((0, 100),))
