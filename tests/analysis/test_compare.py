"""Paired comparisons against counting by hand: brackets, ties, uncertified rows, streaming, coverage, mistakes."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from simprune.analysis import compare as module
from simprune.analysis.compare import compare
from simprune.analysis.comparison import PairComparison, indicator_correlation, shift
from simprune.analysis.confidence import clopper_pearson
from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.json_form import to_text
from simprune.analysis.pairing import choose_pairs, side_by_side
from simprune.analysis.quantiles import quantile
from simprune.analysis.report_comparison import render_comparison
from simprune.model.errors import InputError
from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.records import Status, TrialBatch, TrialTable
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.results import open_results
from tests.analysis.synthetic import SyntheticResults, make_point, make_table
from tests.store.factories import a_design

MAGNITUDE, RANDOM = MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.3)
A, B = make_point((16, 16), rule=MAGNITUDE), make_point((16, 16), rule=RANDOM)


def a_table(point: object, trials: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> TrialTable:
    plain = make_table(point, len(trials))  # type: ignore[arg-type]
    status = np.where(np.isinf(upper), int(Status.NOT_CERTIFIED), 0)
    columns = {**plain.columns, "trial": trials, "gap_lower": lower, "gap_upper": upper, "status": status}
    return TrialTable(point=plain.point, columns=columns)


def results_of(*tables: TrialTable, **of: object) -> SyntheticResults:
    return SyntheticResults(tables=tables, **of)


def brackets(n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Overlapping brackets on a coarse grid, so that ends tie, a fifth of them open above."""
    rng = np.random.default_rng(seed)
    lower = rng.integers(0, 12, n) / 4.0
    return lower, np.where(rng.random(n) < 0.2, np.inf, lower + rng.integers(0, 6, n) / 4.0)


TRIALS_A, TRIALS_B = np.delete(np.arange(900), range(100, 180)), np.arange(50, 1000)
SIDES_A, SIDES_B = brackets(len(TRIALS_A), 1), brackets(len(TRIALS_B), 2)
COMMON = np.array(sorted(set(TRIALS_A.tolist()) & set(TRIALS_B.tolist())))


def compared(*, chunk_a: int = 1000, chunk_b: int = 1000) -> PairComparison:
    a = results_of(a_table(A, TRIALS_A, *SIDES_A), chunk=chunk_a)
    b = results_of(a_table(B, TRIALS_B, *SIDES_B), chunk=chunk_b)
    (pair,) = compare(a, b).pairs
    return pair


def test_every_count_is_that_of_a_loop() -> None:
    at = {trial: (SIDES_A[0][i], SIDES_A[1][i]) for i, trial in enumerate(TRIALS_A.tolist())}
    bt = {trial: (SIDES_B[0][i], SIDES_B[1][i]) for i, trial in enumerate(TRIALS_B.tolist())}
    rows = [(*at[trial], *bt[trial]) for trial in COMMON.tolist()]
    found, n = compared(), len(rows)
    n_a, n_b = (sum(row[i] < np.inf for row in rows) for i in (1, 3))
    surely = sum(a_high < b_low for _, a_high, b_low, _ in rows)
    decided_for_b = sum(b_high < a_low for a_low, _, _, b_high in rows)
    s = found.smaller
    assert (found.pairs, found.certified) == (n, sum(row[1] < np.inf and row[3] < np.inf for row in rows))
    assert (s.surely.successes, s.surely.n_rows) == (surely, n_a)
    assert (s.possibly.successes, s.possibly.n_rows) == (n_b - decided_for_b, n_b)
    assert (s.attained.successes, s.ties) == (sum(r[0] < r[2] for r in rows), sum(r[0] == r[2] for r in rows))
    assert s.surely.interval == clopper_pearson(surely, n_a)
    assert s.claim == "open"
    attained = np.sort([b_low - a_low for a_low, _, b_low, _ in rows])
    least = np.sort([b_low - a_high for _, a_high, b_low, _ in rows if a_high < np.inf])
    most = np.sort([b_high - a_low for a_low, _, _, b_high in rows if b_high < np.inf])
    for values, told in zip((least, attained, most), dataclasses.astuple(found.differences), strict=True):
        assert [q[1] for q in told] == [quantile(values, level).value for level in (0.05, 0.5, 0.95)]
    median = next(shift for shift in found.shifts if shift.side == "lower" and shift.level == 0.5)
    a, b = (np.array([row[i] for row in rows]) for i in (0, 2))
    assert (median.a, median.b) == (quantile(np.sort(a), 0.5).value, quantile(np.sort(b), 0.5).value)
    assert median.correlation == pytest.approx(np.corrcoef(a <= median.a, b <= median.b)[0, 1])


@pytest.mark.parametrize(("chunk_a", "chunk_b"), [(1, 7), (64, 1000), (333, 100)])
def test_chunks_and_streaming_change_nothing(monkeypatch: pytest.MonkeyPatch, chunk_a: int, chunk_b: int) -> None:
    whole = compared()
    assert compared(chunk_a=chunk_a, chunk_b=chunk_b) == whole
    monkeypatch.setattr(module, "IN_MEMORY", -1)
    assert compared(chunk_a=chunk_a, chunk_b=chunk_b) == whole


def test_rows_stand_side_by_side_with_their_own_trial() -> None:
    a, b = results_of(a_table(A, TRIALS_A, *SIDES_A), chunk=13), results_of(a_table(B, TRIALS_B, *SIDES_B), chunk=57)
    names = ("trial", "gap_lower")
    pieces = list(side_by_side(a.chunks(A, only=names), b.chunks(B, only=names)))
    for side, trials, lower in (("a", TRIALS_A, SIDES_A[0]), ("b", TRIALS_B, SIDES_B[0])):
        tables = [getattr(piece, side) for piece in pieces]
        assert np.concatenate([table["trial"] for table in tables]).tolist() == COMMON.tolist()
        kept = lower[np.isin(trials, COMMON)]
        np.testing.assert_array_equal(np.concatenate([table["gap_lower"] for table in tables]), kept)


@pytest.mark.parametrize(("factor", "claim"), [(0.2, "A"), (5.0, "B")])
def test_brackets_that_never_overlap_decide(factor: float, claim: str) -> None:
    lower = np.linspace(1.0, 1.5, 200)
    a = a_table(A, np.arange(200), factor * lower, factor * 1.1 * lower)
    (pair,) = compare(results_of(a), results_of(a_table(B, np.arange(200), lower, 1.1 * lower))).pairs
    assert pair.smaller.claim == claim
    assert pair.smaller.surely.value == pair.smaller.possibly.value == pair.smaller.attained.value == (claim == "A")


def test_attained_values_alone_never_decide() -> None:
    n = 300
    never = np.full(n, np.inf)
    a, b = a_table(A, np.arange(n), np.full(n, 0.1), never), a_table(B, np.arange(n), np.full(n, 9.0), never)
    (pair,) = compare(results_of(a), results_of(b)).pairs
    assert pair.smaller.attained.value == 1.0
    assert (pair.smaller.claim, pair.smaller.surely.value, pair.smaller.possibly.value) == ("open", None, None)
    assert isinstance(pair.differences.least, Refused)
    assert {shift.side for shift in pair.shifts} == {"lower"}
    assert "no rows" in render_comparison(compare(results_of(a), results_of(b)))


def correlated(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    common, own = rng.standard_normal(n), rng.standard_normal((2, n))
    return np.exp(0.3 * common + 0.1 * own[0]), 1.2 * np.exp(0.3 * common + 0.2 * own[1])


def test_paired_intervals_cover_and_are_narrower_than_unpaired_ones() -> None:
    """400 samples of 300; coverage 0.95 has standard error 0.011: 0.9 is 4.5 of them (medians: 1.2 - 1 and of the ratio)."""
    rng, level = np.random.default_rng(5), 0.5
    shifts, differences, narrower = 0, 0, []
    truth = np.median(np.subtract(*correlated(np.random.default_rng(0), 4_000_000)[::-1]))
    for _ in range(400):
        a, b = correlated(rng, 300)
        qa, qb = quantile(np.sort(a), level), quantile(np.sort(b), level)
        assert qa.value is not None
        assert qb.value is not None
        below = a <= qa.value, b <= qb.value
        r = indicator_correlation(int((below[0] & below[1]).sum()), int(below[0].sum()), int(below[1].sum()), 300)
        paired, alone = shift("lower", qa, qb, r).interval, shift("lower", qa, qb, 0.0).interval
        assert isinstance(paired, Interval)
        assert isinstance(alone, Interval)
        shifts += paired.contains(0.2)
        narrower.append((paired.high - paired.low) / (alone.high - alone.low))
        found = quantile(np.sort(b - a), level).interval
        assert isinstance(found, Interval)
        differences += found.contains(truth)
    assert 0.9 <= shifts / 400 <= 0.995
    assert 0.9 <= differences / 400 <= 0.995
    assert np.mean(narrower) < 0.8


def rows(*points: object) -> SyntheticResults:
    return results_of(*(make_table(point, 40) for point in points))  # type: ignore[arg-type]


def test_the_same_amount_pairs_by_itself() -> None:
    rules = (MAGNITUDE, RANDOM, MagnitudePruning(alpha=0.5), BernoulliPruning(alpha=0.5))
    points = [make_point((d, d), rule=rule) for d in (8, 16) for rule in rules]
    one = rows(*points)
    assert choose_pairs(one, one) == tuple(zip(points[::2], points[1::2], strict=True))
    other = rows(*points)
    assert len(choose_pairs(one, other)) == 8
    chosen = choose_pairs(one, one, point_a=points[0].digest()[:12], point_b=points[3].digest())
    assert chosen == ((points[0], points[3]),)


def test_single_partners_of_other_amounts_pair_too() -> None:
    more = make_point((16, 16), rule=RandomPruning(pruned_fraction=0.1))
    assert choose_pairs(rows(A), rows(more)) == ((A, more),)
    with pytest.raises(InputError, match=r"paired clearly, got 2 pairs .* --point-a"):
        choose_pairs(rows(A), rows(more, make_point((16, 16), rule=RandomPruning(pruned_fraction=0.2))))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (make_point((16, 16), rule=RANDOM, seed=2), "seed 1 and seed 2"),
        (make_point((16, 8), rule=RANDOM), "16-16 and 16-8"),
        (make_point((16, 16), rule=RANDOM, precision="float32"), "float64 and float32"),
    ],
)
def test_other_targets_cannot_be_paired(other: object, told: str) -> None:
    with pytest.raises(InputError, match=rf"share their targets .* got {told}; run both"):
        choose_pairs(rows(A), rows(other))


def test_other_mistakes_are_told() -> None:
    with pytest.raises(InputError, match="got the same one twice"):
        choose_pairs(rows(A), rows(A))
    with pytest.raises(InputError, match="no point has 'zz'"):
        choose_pairs(rows(A), rows(B), point_b="zz")
    with pytest.raises(InputError, match="2 points have ''"):
        choose_pairs(rows(A, B), rows(B), point_a="")
    with pytest.raises(InputError, match="same rng_scheme to be paired, got None and v2"):
        choose_pairs(rows(A), results_of(make_table(B, 5), provenance={"rng_scheme": "v2"}))
    apart = a_table(A, np.arange(5), *brackets(5, 0)), a_table(B, np.arange(9, 14), *brackets(5, 0))
    with pytest.raises(InputError, match="must have trials in common"):
        compare(results_of(apart[0]), results_of(apart[1]))


def test_stored_results_are_compared_while_segments_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tuple(make_table(point, 90) for point in (A, B))
    with FolderStore.open(tmp_path / "r", a_design(A, B), provenance={}) as store:
        for first in range(0, 90, 30):
            for table in tables:
                columns = {name: np.ascontiguousarray(column[first : first + 30]) for name, column in table.items()}
                store.append([TrialBatch(point=table.point, first=first, stop=first + 30, columns=columns, info={})])
            store.flush()
    pack(tmp_path / "r", tmp_path / "r.h5")
    whole = compare(results_of(*tables), results_of(*tables), point_a=A.digest(), point_b=B.digest()).pairs
    folder, packed = open_results(tmp_path / "r"), open_results(tmp_path / "r.h5")
    assert compare(folder, folder).pairs == compare(packed, packed).pairs == whole
    monkeypatch.setattr(module, "IN_MEMORY", -1)
    assert compare(folder, packed, point_a=A.digest()).pairs == whole
    (tmp_path / "r" / "segments" / "seg-000000000001.h5").unlink()
    (left,) = compare(folder, packed, point_a=A.digest()).pairs
    assert left.pairs == 60


def test_report_is_narrow_and_json_is_strict() -> None:
    points = [make_point((1024, 512, 256, 10), rule=rule, law=None) for rule in (MAGNITUDE, RANDOM)]
    tables = [make_table(point, 120, exponent=e, certified=70) for point, e in zip(points, (2.0, 0.1), strict=True)]
    found = compare(*(results_of(table, name=name) for table, name in zip(tables, ("small", "large"), strict=True)))
    text = render_comparison(found)
    assert max(len(line) for line in text.splitlines()) <= 110
    assert 'Comparison of "small" (A) and "large" (B)' in text
    assert " A: magnitude pruning\n B: random pruning\n" in text
    told = json.loads(to_text(found))
    assert told["format"] == "simprune-comparison/1"
    (pair,) = told["pairs"]
    assert (pair["pairs"], pair["certified"], pair["smaller"]["claim"]) == (120, 70, "A")
    assert pair["digest_a"] == points[0].digest()
    assert pair["differences"]["attained"][1]["interval"]["low"] > 0.0
