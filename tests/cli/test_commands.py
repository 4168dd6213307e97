"""What the commands print and how they end, on a study that takes a fraction of a second."""

import json
import re

import pytest

import simprune
from simprune.design.template import PRESETS
from tests.cli.calls import FAST, STUDY, call, contents, told


def test_a_run_goes_to_results_and_the_second_does_nothing(study):
    first = call("run", study, *FAST)
    assert first.exit_code == 0
    assert "done: 48 rows computed" in first.stdout
    before = contents(study.parent / "results" / "study")
    second = call("run", study)
    assert second.exit_code == 0
    assert second.stdout.startswith("nothing to do: all 48 rows are in results/study")
    assert second.stderr == ""
    assert contents(study.parent / "results" / "study") == before


def test_more_trials_are_added_and_the_old_rows_stay(study):
    call("run", study, *FAST)
    point = simprune.load_design(study).points()[0]
    before = simprune.open_results("results/study").table(point)["gap_lower"]
    study.write_text(STUDY.replace("trials = 6", "trials = 9"))
    assert "done: 24 rows computed" in call("run", study, *FAST).stdout
    after = simprune.open_results("results/study").table(point)["gap_lower"]
    assert len(after) == 9
    assert after[:6].tobytes() == before.tobytes()


def test_plain_progress_has_no_colours_and_no_carriage_returns(study):
    result = call("run", study, *FAST)
    assert "backend: reference" in result.stderr
    assert re.search(r"^0 of 48 rows \(0.0 %\), measuring, time left unknown; 0 of 8 points done$", result.stderr, re.M)
    assert re.search(r"^48 of 48 rows \(100.0 %\), took \d+ s$", result.stderr, re.M)
    assert not re.search(r"[\x1b\r]", result.output)


def test_a_dry_run_tells_and_writes_nothing(study):
    before = contents(study.parent)
    result = call("run", study, "--dry-run", "--workers", 2)
    assert result.exit_code == 0
    for part in ("8 points on 4 networks", "6 trials each, 48 rows", "0 rows stored, 48 to compute", "2 on the cpu backend"):
        assert part in result.stdout
    assert "rough model" in result.stdout
    assert result.stdout.splitlines()[-1] == "dry run: nothing was computed or written"
    assert contents(study.parent) == before


def test_a_dry_run_tells_the_price_of_semidefinite_certificates(study):
    text, shares = study.read_text(), []
    assert "price" not in call("run", study, "--dry-run").stdout
    for extra in ("", "first = 1\n"):
        study.write_text(text + "\n[estimators.semidefinite]\nsteps = 5000\n" + extra)
        told = call("run", study, "--dry-run").stdout
        shares += re.findall(r"^price of the semidefinite certificate: (\d+) % of it; \"first = N\" certifies", told, re.M)
    assert 0 < int(shares[1]) < int(shares[0]) < 100


def test_a_dry_run_of_a_finished_study_has_nothing_to_do(finished):
    result = call("run", finished / "study.toml", "-o", finished / "results", "--dry-run")
    assert "48 rows stored, 0 to compute" in result.stdout
    assert "on the reference backend" in result.stdout
    assert "time: nothing to do" in result.stdout


def test_shares_are_told_resumed_and_merged(study):
    text = study.read_text()
    for index in (1, 2):
        result = call("run", study, *FAST, "--share", f"{index}/2", "-o", f"r{index}")
        assert "done: 24 rows computed" in result.stdout
        sentence = f"share {index}/2: trials {3 * index - 3}..{3 * index - 1} of every point"
        assert sentence in result.stderr
        assert f"share: {index}/2" in call("info", f"r{index}").stdout
        assert "nothing to do: all 24 rows" in call("run", study, *FAST, "--share", f"{index}/2", "-o", f"r{index}").stdout
    assert "6 trials each" not in call("run", study, "--share", "1/2", "--dry-run").stdout
    assert "3 trials each (share 1/2 of 6), 24 rows" in call("run", study, "--share", "1/2", "--dry-run").stdout
    assert call("merge", "r1", "r2", "-o", "all").stdout.startswith("merged 48 rows into all; ")
    call("run", study, *FAST)
    tables = [call("analyze", folder, "--json").stdout for folder in ("all", "results/study")]
    assert tables[0] == tables[1]
    assert "nothing to do" in call("run", study, *FAST, "-o", "all").stdout
    study.write_text(text.replace("seed = 3", "seed = 4"))
    call("run", study, *FAST, "-o", "other")
    assert "must be of the same design as r1" in told(call("merge", "r1", "other", "-o", "bad"))


def test_info_tells_points_trials_and_provenance(finished):
    result = call("info", finished / "results")
    assert result.exit_code == 0
    assert '"study": 8 points, 48 of 48 rows' in result.stdout
    assert len(re.findall(r"^ +[\d-]+ +[0-9a-f]{16} +6$", result.stdout, re.M)) == 8
    assert f"simprune_version: {simprune.__version__}" in result.stdout
    assert "backend: reference" in result.stdout


def test_verify_computes_trials_again(finished):
    result = call("verify", finished / "results", "--recompute", 5)
    assert result.exit_code == 0
    assert "computed 5 trials again on the reference backend: 0 differ" in result.stdout
    assert result.stdout.endswith("everything agrees\n")


def test_pack_never_overwrites_unless_forced(finished):
    first = call("pack", finished / "results")
    assert first.exit_code == 0
    packed = finished / "results.h5"
    image = packed.read_bytes()
    assert "must be new" in told(call("pack", finished / "results"))
    assert packed.read_bytes() == image
    assert call("pack", finished / "results", "--force").exit_code == 0
    other = call("pack", finished / "results", "-o", finished / "other.h5")
    assert other.exit_code == 0
    for path in (packed, finished / "other.h5"):
        assert "48 of 48 rows" in call("info", path).stdout
        assert call("verify", path, "--recompute", 3).exit_code == 0


def test_analyze_prints_tables_and_json(finished):
    text = call("analyze", finished / "results", "--epsilon", 0.5, "--epsilon", 0.25)
    assert text.exit_code == 0
    assert "0.25" in text.stdout
    summary = json.loads(call("analyze", finished / "results", "--epsilon", 0.5, "--delta", 0.2, "--json").stdout)
    assert summary["delta"] == 0.2
    assert len(summary["points"]) == 8


def test_analyze_adds_bands_and_tails(finished):
    text = call("analyze", finished / "results", "--bands", "--tail", 0.001).stdout
    assert "all levels [" in text
    assert "9. Tails (extrapolated)" in text
    assert "6 rows have too few large values for a tail; 2000 would be enough." in " ".join(text.split())
    assert "delta of a tail must lie in (0, 1), got 2.0" in told(call("analyze", finished / "results", "--tail", 2))


def test_compare_pairs_the_rules_of_a_study(finished):
    text = call("compare", finished / "results")
    assert text.exit_code == 0
    assert text.stdout.count(" A: magnitude pruning, alpha 0.3") == 6
    assert "1. P(gap of A < gap of B)" in text.stdout
    one = json.loads(call("compare", finished / "results", finished / "results", "--json").stdout)
    assert one["format"] == "simprune-comparison/1"
    assert [pair["pairs"] for pair in one["pairs"]] == [6] * 4
    digests = [pair[side][:16] for pair in one["pairs"][:2] for side in ("digest_a", "digest_b")]
    swapped = call("compare", finished / "results", "--point-a", digests[1], "--point-b", digests[0], "--json")
    (pair,) = json.loads(swapped.stdout)["pairs"]
    assert pair["smaller"]["attained"]["successes"] == 6 - one["pairs"][0]["smaller"]["attained"]["successes"]
    other = call("compare", finished / "results", "--point-a", digests[0], "--point-b", digests[3])
    assert "points must share their targets to be paired by trial" in told(other)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_init_writes_a_template_and_never_overwrites(tmp_path, preset):
    path = tmp_path / "design.toml"
    assert call("init", path, "--preset", preset).exit_code == 0
    assert path.read_text() == PRESETS[preset]
    path.write_text("mine")
    assert "design.toml exists; name another one" in told(call("init", path))
    assert path.read_text() == "mine"


def test_the_template_runs_from_init_to_analyze(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("init").exit_code == 0
    small = re.sub(r"trials = \d+", "trials = 2", (tmp_path / "design.toml").read_text()).replace("[32, 64, 128]", "[4, 8]")
    (tmp_path / "design.toml").write_text(small)
    assert call("run", "design.toml", *FAST).exit_code == 0
    assert call("analyze", "results/my-study").exit_code == 0


def test_doctor_tells_what_is_there_and_why_not():
    result = call("doctor")
    assert result.exit_code == 0
    names = [line.split(":")[0] for line in result.stdout.splitlines()]
    assert names == ["simprune", "processors", "memory", "kernels", "gpu", "hdf5", "dask", "slurm"]


def test_bound_prints_the_promise_and_its_json():
    asked = ["bound", "--widths", "64,64,64", "--alpha", "0.5", "--epsilon", "0.1"]
    answer = call(*asked)
    assert answer.exit_code == 0
    assert "minimal width for gap <= 0.1: 19 (all widths d" in answer.stdout
    assert "failure budget: delta = 0.05 = 4 events x 0.0125" in answer.stdout
    assert max(len(line) for line in answer.stdout.splitlines()) <= 125
    numbers = json.loads(call(*asked, "--json").stdout)
    assert numbers["minimal_width"]["width"] == 19
    assert numbers["bound"]["vacuous"] is False
    assert len(numbers["bound"]["events"]) == 4
    assert "weights that may go" in call(*asked, "--counts").stdout
    vacuous = call("bound", "--widths", "32,32,32,32", "--alpha", "0.05", "--rule", "random", "--law", "gaussian").stdout
    assert "VACUOUS: any two such networks differ by at most" in vacuous
    ends = call("bound", "--widths", "784,64,64,10", "--alpha", "0.5", "--epsilon", "0.1").stdout
    assert "minimal width for gap <= 0.1: 17 (hidden widths" in ends


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--widths", "5,x"], "widths must be whole numbers"),
        (["--law", "cauchy"], "law"),
        (["--counts"], "prunable counts need the tolerated gap"),
        (["--fixed-ends", "--epsilon", "-1"], "epsilon must be positive"),
        (["--alpha", "1.3"], "alpha must lie in (0, 1)"),
        (["--rule", "magnitud"], "did you mean 'magnitude'"),
        (["--delta", "0"], "delta must lie in (0, 1)"),
    ],
)
def test_bad_questions_about_bounds_end_in_one_sentence(change, sentence):
    answer = call("bound", "--widths", "8,8", "--alpha", "0.3", *change)
    assert answer.exit_code == 2
    assert sentence in answer.stderr
    assert answer.stderr.count("error:") == 1
