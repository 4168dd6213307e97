"""The verification at a small scale, and proof that its checks can fail.

Seeds are fixed, so outcomes never change; with other seeds a section of a correct program fails with probability 1e-3.
"""

import importlib
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simprune.analysis.estimates import Interval
from simprune.analysis.scaling import ExponentFit
from simprune.model.activations import Sigmoid
from simprune.model.distributions import Uniform
from simprune.model.pruning import MagnitudePruning
from simprune.records import TrialTable

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PARTS = {
    "verify_norms": {"norms": (0.02, 128)},
    "verify_gaps": {"gaps": (0.01, 64)},
    "verify_coverage": {"coverage": (0.004, 64)},
    "verify_widths": {"widths": (0.01, 64), "promises": (0.2, 64)},
    "verify_exponents": {"square": (0.01, 128), "fixed_ends": (0.01, 128), "constant_fraction": (0.01, 128)},
    "verify_order": {"thresholds": (0.1, 64), "subsets": (0.1, 64)},
    "verify_typical": {"typical": (0.05, 64)},
    "verify_assumptions": {"alarms": (0.05, 64), "power": (0.1, 64)},
    "verify_offset": {"two_layers": (0.02, 128), "growth": (0.02, 128)},
}
CASES = [(module, part, *sizes) for module, parts in PARTS.items() for part, sizes in parts.items()]
SLOW = ("verify_assumptions",)


@pytest.fixture(scope="module", autouse=True)
def scripts():
    sys.path.insert(0, str(SCRIPTS))
    yield
    sys.path.remove(str(SCRIPTS))


def module(name):
    return importlib.import_module(name)


def session(scale=0.1, largest=64):
    return module("verify_session").Session(scale=scale, largest=largest, seed=11)


@pytest.mark.parametrize(
    ("name", "part", "scale", "largest"),
    [pytest.param(*c, id=f"{c[0][7:]}-{c[1]}", marks=[pytest.mark.slow] if c[0] in SLOW else []) for c in CASES],
)
def test_every_part_passes(name, part, scale, largest, capsys):
    checks = getattr(module(name), part)(session(scale, largest))
    found = module("verify_checks").verdict(part, checks)
    assert found.passed, found.text()
    assert found.n_sure + found.n_tests == len(checks) > 3
    assert "nan" not in capsys.readouterr().out


def test_all_parts_are_in_a_section():
    sections = [part for parts in module("verify_main").SECTIONS.values() for part in parts]
    assert sorted(part.__name__ for part in sections) == sorted(case[1] for case in CASES)


def norm_rows():
    norms, found = module("verify_norms"), session(1.0)
    point = found.point((64,) * 5, MagnitudePruning(alpha=0.1), norms.Sampled(samples=1), norms.Spectral())
    return found.rows([point], 60)[0]


def test_norm_bounds_that_are_too_small_are_reported():
    norms, verdict = module("verify_norms"), module("verify_checks").verdict
    table = norm_rows()
    full = norms.target_norm((64, 64), Uniform(), delta=0.05)
    moved = norms.delta_norm((64, 64), Uniform(), table.point.rule, layer=0, delta=0.05)
    counts, checks = norms.violations("true", table, full, moved, targets=True)
    assert verdict("norms", checks).passed
    lower, checks = norms.violations("false", table, full.times(0.92), moved.times(0.9), targets=True)
    assert all(a > b for a, b in zip(lower, counts, strict=True))
    text = verdict("norms", checks).text()
    assert "FAIL" in text
    assert "FAILED false: delta_norm above its bound" in text


def test_norms_near_a_bound_are_decided_by_their_exact_value():
    norms, table = module("verify_norms"), norm_rows()
    exact = norms.exact(table.point, 3, 2, "delta_norm")
    certified = table["delta_norm"][3, 2]
    assert exact < certified
    values = np.where(np.arange(240).reshape(60, 4) == 3 * 4 + 2, certified, 0.0)
    alone = TrialTable(point=table.point, columns={**table.columns, "delta_norm": values})
    assert norms.above(alone, "delta_norm", 0.5 * (exact + certified)) == 0
    assert norms.above(alone, "delta_norm", exact * (1.0 - 1e-9)) == 1
    wrong = TrialTable(point=table.point, columns={**table.columns, "delta_norm": table["delta_norm"] * 0.99})
    assert any(check.p_value == 0.0 for check in norms.certified(wrong))


def test_means_that_differ_from_the_published_ones_are_reported():
    norms, table = module("verify_norms"), norm_rows()
    line = norms.row(table, *(norms.target_norm((64, 64), Uniform(), delta=0.05),) * 2, (0, 0, 0))
    _, checks = norms.against_prototype(table, line)
    assert all(check.p_value > 1e-3 for check in checks)
    check, deviation = norms.agreement("wrong", table, "target_norm", "1.140")
    assert check.p_value < 1e-6
    assert deviation < -5


def test_certificates_below_attained_gaps_are_reported():
    coverage, gaps, verdict = module("verify_coverage"), module("verify_gaps"), module("verify_checks").verdict
    found = session(1.0)
    point = found.point((12, 10, 9), MagnitudePruning(alpha=0.3), coverage.LOWER, coverage.UPPERS[1])
    (table,) = found.rows([point], 5)
    assert verdict("gaps", [*coverage.judged([table]), *gaps.judged(table)]).passed
    low = TrialTable(point=point, columns={**table.columns, "gap_upper": table["gap_lower"] * 0.999})
    text = verdict("gaps", coverage.judged([low])).text()
    assert "5 of 5 semidefinite certificates below" in text
    assert not verdict("gaps", gaps.judged(low)).passed
    high = TrialTable(point=point, columns={**table.columns, "gap_lower": table["gap_lower"] * 100.0})
    assert "gap above the a-priori bound: 5 of 5" in verdict("gaps", gaps.judged(high)).text()


def test_an_ascent_that_is_too_weak_is_reported():
    gaps, published, found = module("verify_gaps"), module("verify_published"), session(1.0)
    tables = [
        found.rows([found.point((64,) * (depth + 1), MagnitudePruning(alpha=0.3), gaps.ASCENT, gaps.Spectral())], 20)[0]
        for depth in gaps.DEPTHS
    ]
    assert gaps.pair(published.CELLS[64, 0.3], tables)[1].p_value == 1.0
    weak = TrialTable(point=tables[0].point, columns={**tables[0].columns, "gap_lower": tables[0]["gap_lower"] * 0.7})
    assert gaps.pair(published.CELLS[64, 0.3], [weak, *tables[1:]])[1].p_value < 1e-4


def test_wrong_exponents_are_reported():
    exponents, slopes, found = module("verify_exponents"), module("verify_slopes"), session()
    rule = MagnitudePruning(alpha=0.3)
    networks = [found.point((d,) * 3, rule, exponents.ASCENT).network for d in (64, 128, 256, 512)]
    allowed = slopes.norm_range(rule, networks, layer=0)
    assert allowed[0] < 0.9 < allowed[1]
    for exponent, plausible in ((0.9, True), (0.75, False), (0.3, False), (1.2, False)):
        interval = Interval(low=exponent - 0.02, high=exponent + 0.02)
        fit = ExponentFit(exponent=exponent, interval=interval, local=(), residual=None)
        assert (exponents.judged("fit", fit, allowed).p_value > 1e-3) is plausible
    ends = [found.point((16, d, d, 10), rule, exponents.ASCENT).network for d in (64, 128, 256, 512)]
    low, high = slopes.gap_range(rule, ends, terms=((0,), (2,), (0, 1, 2)), lost=0.5)
    assert low < 1.06 < high
    assert slopes.gap_range(rule, ends, terms=((0,), (2,), (0, 1, 2)), lost=0.0)[1] < 1.0


def test_slopes_and_edges_have_their_textbook_values():
    slopes = module("verify_slopes")
    assert slopes.slope([64, 128, 512], [2.0 * math.log(d) + 1.0 for d in (64, 128, 512)]) == pytest.approx(2.0)
    assert slopes.slope_error([64, 256], [0.1, 0.1]) == pytest.approx(0.1 * math.sqrt(2.0) / math.log(4.0))
    rng = np.random.default_rng(1)
    norms = [np.linalg.norm(rng.standard_normal((80, 50)), 2) for _ in range(400)]
    # the standard error of the mean is 0.0013 of it
    assert np.mean(norms) / (math.sqrt(80) + math.sqrt(50)) == pytest.approx(slopes.edge(80, 50), abs=0.007)


def test_minimal_widths_above_the_published_ones_are_reported(monkeypatch):
    widths, published = module("verify_widths"), module("verify_published")
    monkeypatch.setattr(published, "WIDTHS", {("magnitude", 2, 0.5): ("8", "18", "76")})
    text = module("verify_checks").verdict("widths", widths.widths(session())).text()
    assert "FAILED magnitude 0.5, L = 2, epsilon 0.1: width 19 above 18" in text
    assert published.half_unit("9.1e4") == pytest.approx(500.0)
    assert widths.told(19, "19").endswith("=")
    assert widths.told(90624, "9.1e4").endswith("=")
    assert widths.told(15, "19").endswith("x0.79")


def test_thresholds_of_another_law_are_reported():
    order, found = module("verify_order"), session()
    points = [found.point((20, 20), MagnitudePruning(alpha=a), order.Sampled(samples=1)) for a in (0.3, 0.31)]
    table, other = found.rows(points, 2000)
    assert module("verify_checks").verdict("order", order.threshold_checks(table)[0]).passed
    swapped = TrialTable(point=table.point, columns={**table.columns, "threshold": other["threshold"]})
    checks = [check for check in order.threshold_checks(swapped)[0] if not check.sure]
    text = module("verify_checks").verdict("order", checks).text()
    assert "thresholds against Beta" in text
    assert "E H(T)^2" in text


def test_masks_that_are_not_uniform_are_reported():
    order, rng = module("verify_order"), np.random.default_rng(5)
    fair = rng.random((400, 60)).argsort(axis=1).argsort(axis=1) < 12
    assert order.positions_p(fair, 0.2) > 1e-3
    biased = (rng.random((400, 60)) + 0.2 * (np.arange(60) < 30)).argsort(axis=1).argsort(axis=1) < 12
    assert order.positions_p(biased, 0.2) < 1e-9
    limits = rng.random(400)
    assert order.independence_p(fair[:, :15].sum(axis=1), limits) > 1e-3
    assert order.independence_p(rng.binomial(15, 0.1 + 0.3 * limits), limits) < 1e-9


def test_formulas_of_the_typical_gap_know_right_from_wrong():
    typical, found = module("verify_typical"), session()
    assert typical.linear_square(0.5, 2) == pytest.approx(0.75 / 9.0)
    assert typical.wide_relu_square(1e-6, 3) == pytest.approx(typical.linear_square(1e-6, 3) / 4.0, rel=1e-2)
    point = found.point((64,) * 3, MagnitudePruning(alpha=0.3), typical.Sampled(samples=1))
    (table,) = found.rows([point], 400)
    assert typical.compared(table)[0].p_value > 1e-3
    wrong = TrialTable(point=point, columns={**table.columns, "gap_lower": table["gap_lower"] * 1.2})
    assert typical.compared(wrong)[0].p_value < 1e-6


def test_the_gap_at_zero_knows_right_from_wrong(monkeypatch):
    offset = module("verify_offset")
    formula = offset.exact_square
    monkeypatch.setattr(offset, "exact_square", lambda d, alpha: 1.2 * formula(d, alpha))
    assert not module("verify_checks").verdict("offset", offset.two_layers(session(0.1))).passed
    point = session().point((64,) * 3, MagnitudePruning(alpha=0.1), offset.ASCENT, activation=Sigmoid())
    gaps = offset.gaps_at_zero(point, 8)
    assert offset.bracketed(session(), point, gaps)[0].p_value == 1.0
    assert offset.bracketed(session(), point, gaps * 100.0)[0].p_value == 0.0


def test_checks_and_verdicts():
    checks = module("verify_checks")
    assert checks.at_most("rare", 0, 10, 0.05).p_value == 1.0
    assert checks.at_most("one", 1, 10, 0.05).p_value == pytest.approx(1.0 - 0.95**10)
    assert checks.near("inside", 0.4, 0.1, allowance=(0.0, 0.5), df=math.inf).p_value == 1.0
    assert checks.near("outside", 0.7, 0.1, allowance=(0.0, 0.5), df=math.inf).p_value == pytest.approx(0.0455, abs=1e-4)
    assert checks.near("exact", 0.1, 0.0, df=3).p_value == 0.0
    many = [checks.Check("noise", 1e-5)] + [checks.Check("fine", 0.5)] * 999
    assert checks.verdict("many", many).passed
    assert not checks.verdict("few", many[:10]).passed
    sure = checks.verdict("sure", [checks.sure("wrong", False)])
    assert "FAILED wrong" in sure.text()
    assert "probability at most 0" in sure.text()


def test_the_command_line(capsys, monkeypatch):
    main = module("verify_main")
    for arguments, told in (
        (["norm"], "sections must be among norms, gaps, widths, exponents, order, assumptions, offset, got norm"),
        (["--scale", "0"], "--scale must lie in (0, 100], got 0"),
        (["--largest", "64"], "--largest must be at least 128, got 64"),
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--seed", "-1"], "--seed must lie in 0..2^32-1, got -1"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main.run(arguments)
        assert told in capsys.readouterr().err
    checks = module("verify_checks")
    parts = {"good": (lambda s: [checks.sure("fine", True)],), "bad": (lambda s: [checks.sure("wrong", False)],)}
    monkeypatch.setattr(main, "SECTIONS", parts)
    assert main.run(["good", "--workers", "1"]) == 0
    assert "1 of 1 sections pass" in capsys.readouterr().out
    assert main.run(["--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "bad: 1 checks, 1 of them sure" in out
    assert "1 of 2 sections pass" in out


@pytest.mark.slow
def test_ctrl_c_ends_without_a_traceback():
    command = [str(SCRIPTS / "verify"), "norms", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    time.sleep(15)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "interrupted" in told
