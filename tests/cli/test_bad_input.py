"""Bad input: one clear sentence, exit code 2, nothing lost."""

import os
import socket

import numpy as np
import pytest

import simprune
from simprune.backends.cuda_missing import driver_seen
from simprune.engine import Failure, Mismatch, RunReport
from tests.cli.calls import FAST, STUDY, call, contents, told


def changed(old, new):
    assert old in STUDY
    return STUDY.replace(old, new)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed("trials = 6", "trials 6"), "study.toml must be valid TOML, got: .*(at line 2, column 8); mend it there"),
        (changed("seed", "sed"), "sed: must be a known key, got 'sed'; did you mean 'seed'?"),
        (
            changed("alpha = 0.3", "alpha = 1.3"),
            "rules[0].alpha: alpha must lie in (0, 1), got alpha=1.3; alpha is",
        ),
        (changed("[4, 6]", "[4, 0]"), "networks[0].width[1]: every width must lie in 1..1099511627776, got width 0"),
    ],
)
def test_a_bad_design_is_told_before_anything_is_done(study, text, sentence):
    study.write_text(text)
    head, _, tail = sentence.partition(".*")
    error = told(call("run", study, *FAST))
    assert head in error
    assert tail in error
    assert not (study.parent / "results").exists()


def test_all_mistakes_of_a_design_are_listed(study):
    study.write_text(changed("[4, 6]", "[4, 0]").replace("alpha = 0.3", "alpha = 1.3"))
    result = call("run", study)
    assert "must be a valid design, got 2 mistakes:" in told(result)
    assert "\n  networks[0].width[1]: " in result.stderr
    assert "\n  rules[0].alpha: " in result.stderr


@pytest.mark.parametrize("command", ["run", "info", "verify", "pack", "analyze"])
def test_a_missing_path_is_named(tmp_path, command):
    assert str(tmp_path / "none") in told(call(command, tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["info", "verify", "pack", "analyze"])
@pytest.mark.parametrize("name", ["folder", "text.h5"])
def test_what_is_no_results_is_refused(tmp_path, command, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.h5").write_text("hello")
    assert name in told(call(command, tmp_path / name))


def network_study(study, **arrays):
    np.savez(study.parent / "n.npz", **arrays)
    study.write_text(STUDY.replace("width = [4, 6]\ndepth = [1, 2]", "file = 'n.npz'\nwidths = [3, 2]"))


@pytest.mark.parametrize(
    ("weight", "sentence"),
    [
        (np.full((2, 3), np.nan), "W0 of .* must be finite, got 6 NaN or infinite entries; mend the file"),
        (np.full((2, 3), np.inf), "W0 of .* must be finite, got 6 NaN or infinite entries; mend the file"),
        (np.full((2, 3), None), "W0 of .* must hold plain numbers, got pickled objects"),
        (np.ones((2, 4)), "networks[0]: widths must be those of n.npz, [4, 2], got [3, 2]"),
    ],
)
def test_a_bad_network_file_is_told(study, weight, sentence):
    network_study(study, W0=weight)
    head, _, tail = sentence.partition(".*")
    error = told(call("run", study, *FAST))
    assert head in error
    assert tail in error
    assert not (study.parent / "results").exists()


def test_a_good_network_file_runs(study):
    network_study(study, W0=np.arange(6.0).reshape(2, 3))
    assert "done: 12 rows computed" in call("run", study, *FAST).stdout


def test_results_of_another_design_are_refused_and_kept(study):
    call("run", study, *FAST)
    before = contents(study.parent / "results")
    study.write_text(changed("seed = 3", "seed = 4"))
    error = told(call("run", study, *FAST))
    assert "must hold the same design" in error
    assert "seed" in error
    assert "must hold the same design" in told(call("run", study, "--dry-run"))
    assert contents(study.parent / "results") == before


def test_results_of_another_backend_are_refused_and_kept(study):
    call("run", study, *FAST)
    before = contents(study.parent / "results")
    error = told(call("run", study, "--backend", "cpu"))
    assert "must be continued with the backend that began them, reference, got cpu" in error
    assert contents(study.parent / "results") == before


def damage(folder, change):
    (segment,) = (folder / "segments").glob("seg-*.h5")
    raw = bytearray(segment.read_bytes())
    segment.write_bytes(change(raw))
    return segment.name


def flip(raw):
    raw[len(raw) // 2] ^= 16
    return raw


@pytest.mark.parametrize("change", [lambda raw: raw[: len(raw) // 2], flip], ids=["truncated", "flipped"])
def test_a_damaged_part_is_named_and_computed_again(study, change):
    folder = study.parent / "results" / "study"
    call("run", study, *FAST)
    whole = call("analyze", folder, "--json").stdout
    name = damage(folder, change)
    verified = call("verify", folder)
    assert "must be whole, got " in told(verified)
    assert f"BAD {name}: " in verified.stdout
    assert f"damaged: {name}" in call("info", folder).stdout
    assert "must be undamaged to be packed" in told(call("pack", folder), code=74)
    again = call("run", study, *FAST)
    assert again.exit_code == 0
    assert "done: 48 rows computed" in again.stdout
    assert name in again.stderr
    assert "set aside" in again.stderr
    assert call("verify", folder, "--recompute", 4).exit_code == 0
    assert call("analyze", folder, "--json").stdout == whole


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_refused(study):
    study.parent.chmod(0o500)
    try:
        assert "results" in told(call("run", study, *FAST))
    finally:
        study.parent.chmod(0o700)


def test_a_place_where_nobody_may_write_is_refused(study):
    error = told(call("run", study, "-o", "/proc/results", *FAST), code=74)
    assert "/proc/results" in error


def test_results_below_a_file_are_refused(study):
    error = told(call("run", study, "-o", study / "results", *FAST), code=74)
    assert str(study) in error


@pytest.mark.skipif(driver_seen(), reason="an NVIDIA driver is here")
def test_cuda_is_never_replaced_silently(study):
    error = told(call("run", study, "--backend", "cuda"))
    assert "the cuda backend cannot run here: it needs an NVIDIA GPU with its driver" in error
    assert "simprune[cuda]" in error
    assert not (study.parent / "results").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--backend", "gpu"), "backend must be a known name, got 'gpu'"),
        (("--scheduler", "pbs"), "scheduler must be local, serial, slurm or an address, e.g. tcp://host:port, got 'pbs'"),
        (("--scheduler", "http://x:1"), "tcp://"),
        (("--workers", "0"), "workers must be at least 1, got 0"),
        (("--scheduler", "tcp://127.0.0.1:1", "--workers", "2"), "must be started there, got workers=2"),
        (("--wrokers", "2"), "'--wrokers'"),
        (("--deadline", "0"), "deadline must be positive, got 0"),
        (("--scheduler", "serial", "--deadline", "9"), "a deadline must have worker processes that can be killed"),
        (("--scheduler", "tcp://192.0.2.1:8786"), "must be reached by tls://, got tcp://192.0.2.1:8786"),
        (("--scheduler", "tls://127.0.0.1:8786"), "a tls:// scheduler must be given certificates, got none"),
        (("--scheduler", "slurm"), "the number of SLURM jobs must be given, got none"),
        (("--share", "0/3"), "a share must be i/n with 1 <= i <= n"),
        (("--share", "3"), "a share must be written i/n, got '3'"),
    ],
)
def test_a_bad_option_is_told(study, options, sentence):
    assert sentence in told(call("run", study, *options))
    assert not list(study.parent.glob("results/*/segments/*"))


def test_an_unreachable_scheduler_is_named(study):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{held.getsockname()[1]}"
        assert address in told(call("run", study, "--backend", "reference", "--scheduler", address))


@pytest.mark.parametrize("options", [("--epsilon", "-1"), ("--epsilon", "nan"), ("--delta", "1.5"), ("--epsilon", "x")])
def test_bad_numbers_for_the_analysis_are_told(finished, options):
    told(call("analyze", finished / "results", *options))


def test_rows_that_cannot_be_computed_again_are_told(finished, monkeypatch):
    point = simprune.open_results(finished / "results").points[0]
    mismatch = Mismatch(point=point, trial=2, column="gap_lower", stored="1.0", computed="1.5")
    monkeypatch.setattr("simprune.engine.recompute", lambda *args, **options: [mismatch])
    result = call("verify", finished / "results", "--recompute", 3)
    assert "got 0 bad places and 1 differing trials" in told(result)
    assert f"BAD point {point.digest()[:16]} trial 2 gap_lower: stored 1.0, computed 1.5" in result.stdout


def test_trials_that_failed_are_told_with_the_command_to_repeat(study, monkeypatch):
    point = simprune.load_design(study).points()[0]
    failure = Failure(point=point, trial=4, reason="its worker process died")
    report = RunReport(n_target=48, n_before=0, n_computed=40, failed=(failure,), n_given_up=7, stopped=False, seconds=1.0)
    monkeypatch.setattr("simprune.api.run", lambda *args, **options: report)
    result = call("run", study, "--workers", 1)
    error = told(result, code=76)
    assert "1 failed and 7 were given up; the other 40 rows are safe in results/study" in error
    assert error.endswith(f"simprune run {study} --workers 1")
    assert f"failed: point {point.digest()[:16]}, trial 4: its worker process died" in result.stderr


def test_a_bad_batch_file_is_told(study):
    assert "an array must have no workers, got workers=2" in told(
        call("job-script", "slurm", study, "--array", 3, "--workers", 2)
    )
    assert "the number of workers must be given" in told(call("job-script", "slurm", study))
    study.write_text(study.read_text() + "[stopping]\nquantity = 'mean'\nwidth = 0.1\n")
    assert "a share must be of a design without [stopping]" in told(call("job-script", "slurm", study, "--array", 3))


def test_an_unknown_command_is_told():
    assert "No such command 'rnu'" in told(call("rnu"))
