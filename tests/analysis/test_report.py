"""The summary and its report: what a reader must find, on which side of the truth, within 110 columns."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from simprune.analysis import render, summarize, to_json
from simprune.analysis.estimates import Interval, Refused
from simprune.analysis.json_form import to_text
from simprune.model.activations import Sigmoid
from simprune.model.distributions import Gaussian
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget, NetworkSpec
from simprune.model.pruning import AbstractPruningRule, BernoulliPruning, MagnitudePruning, RandomPruning
from simprune.records import Status, TrialTable
from tests.analysis.synthetic import SyntheticResults, make_point, make_table

RULES = (MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.3), MagnitudePruning(pruned_fraction=0.1))


def study(
    *, rules: tuple[AbstractPruningRule, ...] = RULES, n: int = 400, certified: int | None = 100, **of: object
) -> SyntheticResults:
    points = [make_point((d,) * 3, rule=rule) for d in (16, 32, 64) for rule in rules]
    tables = [make_table(p, n, exponent=0.9 if p.rule.alpha else 0.0, certified=certified) for p in points]
    return SyntheticResults(tables=tuple(tables), trials=n, **of)


def with_columns(table: TrialTable, **columns: np.ndarray) -> TrialTable:
    return TrialTable(point=table.point, columns={**table.columns, **columns})


def test_report_is_narrow_and_holds_every_section() -> None:
    text = render(summarize(study(epsilons=(0.05, 0.2))))
    assert max(len(line) for line in text.splitlines()) <= 110
    for title in (
        "In short",
        "1. Points",
        "2. Gap, attained",
        "3. Gap, certified",
        "4. P(gap",
        "5. Relative",
        "6. Exponents",
        "7. Order",
    ):
        assert title in text
    assert "\x1b" not in text
    assert "nan" not in text
    assert "the gap does NOT vanish as the width grows" in text
    assert "chosen from these data" not in text
    assert "0 of 12 tests rejected" in text
    assert text == render(summarize(study(epsilons=(0.05, 0.2))))


def test_long_labels_headings_and_numbers_stay_narrow() -> None:
    rules = (
        MagnitudePruning(alpha=(0.111, 0.222, 0.333, 0.444)),
        BernoulliPruning(pruned_fraction=(0.5, 0.25, 0.125, 0.01)),
    )
    shapes = [(1024, 512, 768, 256, 10), (1024, 333, 777, 256, 10)]
    points = [make_point(w, rule=rule, law=Gaussian(K=k)) for w in shapes for rule in rules for k in (1.0, 2.5)]
    text = render(summarize(SyntheticResults(tables=tuple(make_table(p, 80, exponent=5.0) for p in points), trials=10**8)))
    assert max(len(line) for line in text.splitlines()) <= 110
    assert "1024-512-768-256-10" in text


def test_numbers_of_the_summary_are_those_of_the_rows() -> None:
    results = study(epsilons=(0.1,))
    summary = summarize(results, levels=(0.5, 0.9))
    point, table = summary.points[0], results.tables[0]
    gaps = np.sort(table["gap_lower"])
    assert (point.trials, point.certified, point.below_noise, point.count_errors) == (400, 100, 0, 0)
    assert [q.value for q in point.lower] == [gaps[199], gaps[359]]
    assert [q.n_rows for q in point.upper] == [100, 100]
    (probability,) = point.probabilities
    assert probability.optimistic.successes == np.count_nonzero(gaps <= 0.1)
    assert probability.pessimistic.successes == np.count_nonzero(table["gap_upper"][:100] <= 0.1)
    assert point.layers[0].n_pruned == 48
    assert point.layers[0].pruned_fraction + point.layers[0].kept_fraction == 1.0
    assert [p.point for p in summary.points] == list(results.points)


def test_exponents_stand_beside_the_theory() -> None:
    families = {family.regime.split(":")[0]: family for family in summarize(study()).exponents}
    square = next(f for f in summarize(study(rules=RULES[:1])).exponents)
    assert (square.theorem1, square.sharp, square.latala) == (0.3, pytest.approx(0.9), pytest.approx(0.75))
    constant = families["constant pruned fraction"]
    assert (constant.theorem1, constant.sharp) == (None, 0.0)
    median = next(f for f in square.fits if f.side == "lower" and f.level == 0.5)
    assert median.fit.exponent == pytest.approx(0.9, abs=0.06)


def test_findings_come_first_and_are_counts_of_the_tables() -> None:
    summary = summarize(study(epsilons=(0.05, 9.0)))
    claims = [p.claim for point in summary.points for p in point.probabilities]
    text = " ".join(render(summary).split("1. Points")[0].split())
    assert "asked 18 times" in text
    assert f"holds {claims.count('holds')} times, fails {claims.count('fails')} times" in text
    assert claims.count("holds") >= 9
    assert "in 1 of 1 families (table 6)" in text
    assert "0 of 12 tests" in text


def test_wrong_thresholds_are_announced() -> None:
    points = [make_point((d, d)) for d in (16, 32)]
    tables = (make_table(points[0], 400), make_table(points[1], 400, shift=30))
    summary = summarize(SyntheticResults(tables=tables, trials=400))
    assert [test.rejected for test in summary.thresholds] == [False, True]
    assert "do NOT follow the law" in render(summary)


def test_without_certified_rows_the_report_says_so() -> None:
    text = render(summarize(study(certified=0)))
    assert "No row is certified" in text
    assert "no rows" in text
    assert "holds" not in text.split("4. P(gap")[1].split("5. Relative")[0].split("\n\n", 1)[1]


def test_too_few_trials_are_told_with_their_number() -> None:
    summary = summarize(study(n=30, certified=30))
    high = summary.points[0].lower[-1]
    assert isinstance(high.interval, Refused)
    assert high.interval.needed == 72
    assert isinstance(summary.points[0].upper_limit, Refused)
    assert summary.points[0].upper_limit.needed == 59
    text = render(summary)
    assert "[needs 72 rows]" in text
    assert "needs 59" in text
    assert max(len(line) for line in text.splitlines()) <= 110


def test_nothing_done_yet_is_a_report_too() -> None:
    summary = summarize(study(n=0, certified=0))
    assert summary.points[0].lower[0].value is None
    assert "0 of 0 trials" in render(summary)
    json.dumps(to_json(summary), allow_nan=False)


def test_epsilons_from_data_are_owned_up_to() -> None:
    summary = summarize(study())
    assert summary.epsilons_from_data
    assert all(point.probabilities for point in summary.points)
    assert "descriptive only" in render(summary)


def test_epsilon_and_delta_of_the_caller_come_first() -> None:
    summary = summarize(study(epsilons=(0.1,), delta=0.01), epsilons=(0.3, 0.4), delta=0.2)
    assert [p.epsilon for p in summary.points[0].probabilities] == [0.3, 0.4]
    assert summary.delta == 0.2
    assert not summary.epsilons_from_data


@pytest.mark.parametrize(
    ("epsilons", "delta", "message"),
    [
        ((-0.1,), 0.05, "epsilon must be at least 0"),
        ((0.1,), 1.0, r"delta must lie in \(0, 1\)"),
        ((float("nan"),), 0.1, "epsilon"),
    ],
)
def test_bad_questions_are_refused(epsilons: tuple[float, ...], delta: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        summarize(study(n=5), epsilons=epsilons, delta=delta)


def test_noise_wrong_counts_failures_and_problems_are_reported() -> None:
    point = make_point((16, 16), activation=Sigmoid())
    table = make_table(point, 100)
    status = np.where(np.arange(100) < 7, int(Status.BELOW_NOISE), 0)
    wrong = with_columns(table, status=status, n_pruned=table["n_pruned"] + (np.arange(100) < 3)[:, None])
    failed = (SimpleNamespace(first=100, stop=105),)
    results = SyntheticResults(tables=(wrong,), trials=105, failed=failed, problems={"000001.seg": "checksum differs"})
    summary = summarize(results)
    assert (summary.points[0].below_noise, summary.points[0].count_errors, summary.failed_trials) == (7, 3, 5)
    text = render(summary)
    assert "5 trials failed" in text
    assert "3 rows of point" in text
    assert "Unreadable: 000001.seg: checksum differs" in text


def test_bernoulli_counts_are_means_of_the_rows() -> None:
    point = make_point((16, 16), rule=BernoulliPruning(alpha=0.3))
    table = make_table(point, 100)
    counts = 40 + np.arange(100)[:, None] % 2
    summary = summarize(SyntheticResults(tables=(with_columns(table, n_pruned=counts),), trials=100))
    assert summary.points[0].layers[0].n_pruned == 40.5
    assert summary.points[0].count_errors == 0


def test_a_value_at_zero_is_warned_of() -> None:
    deep = make_point((16, 16, 16), activation=Sigmoid())
    assert "s(0) != 0" in render(summarize(SyntheticResults(tables=(make_table(deep, 80),))))


def test_trained_networks_are_labelled_by_amount() -> None:
    points = []
    for alpha in (0.1, 0.2):
        sampled = make_point((16, 16, 4), rule=MagnitudePruning(alpha=alpha))
        network = NetworkSpec(
            widths=(16, 16, 4), activation=sampled.network.activation, target=FixedTarget(sha256="ab" * 32)
        )
        points.append(type(sampled)(network=network, rule=sampled.rule, estimators=sampled.estimators, seed=1))
    text = render(summarize(SyntheticResults(tables=tuple(make_table(p, 80) for p in points))))
    assert "trained network abababababab" in " ".join(text.split())
    assert "no exponent can be fitted" in text
    assert "\n  alpha 0.1 " in text
    assert "weights are fixed" in text
    assert "A trained target is one fixed network" in text


def test_json_is_strict_and_complete() -> None:
    summary = summarize(study(certified=0))
    data = json.loads(to_text(summary))
    assert data["format"] == "simprune-analysis/1"
    assert data["points"][0]["point"] == summary.points[0].point.to_dict()
    assert data["points"][0]["upper"] == {"refused": "no row is certified; add the spectral estimator", "needed": None}
    interval = summary.points[0].lower[1].interval
    assert isinstance(interval, Interval)
    assert data["points"][0]["lower"][1]["interval"] == {"low": interval.low, "high": interval.high, "confidence": 0.95}
    assert len(data["exponents"]) == 3


def test_infinite_numbers_are_null_in_json() -> None:
    point = make_point((16, 16))
    table = with_columns(make_table(point, 100), gap_upper=np.full(100, np.inf))
    data = to_json(summarize(SyntheticResults(tables=(table,))))
    assert data["points"][0]["upper"][0]["value"] is None
    json.dumps(data, allow_nan=False)


def test_witnesses_are_not_read_and_each_table_only_when_needed() -> None:
    results = study(rules=RULES[:1], epsilons=(0.1,))
    summarize(results)
    assert len(results.reads) == len(results.points)


def test_importing_the_analysis_loads_no_compiler_cluster_or_heavy_statistics() -> None:
    heavy = ("numba", "dask", "distributed", "h5py", "scipy.stats")
    code = f"import sys, simprune, simprune.analysis; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
