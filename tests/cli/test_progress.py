import io
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from simprune.cli.progress import JsonLines, PlainLines
from simprune.cli.progress_terminal import drawn
from simprune.cli.progress_text import duration, point_text, sentence
from simprune.design.design import Design
from simprune.engine import Interval, PointProgress, Progress, StopRequest, Tally
from simprune.store.folder import FolderStore
from tests.cli.calls import FAST, STUDY, call, contents, told
from tests.store.factories import a_quick_batch
from tests.test_api import point_of

DIGEST = point_of().digest()[:16]
TALLY = Tally(epsilon=0.1, n_trials=40, surely=2, perhaps=4)


def snapshot(done, *, rate=None, left=None, finished=False, failed=0, message="", watched=None):
    return Progress(
        points=(PointProgress(point=point_of(), done=done, target=200, n_failed=failed, watched=watched),),
        rows_per_second=rate,
        remaining_seconds=left,
        elapsed_seconds=9.6,
        n_failed=failed,
        message=message,
        finished=finished,
    )


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (snapshot(0), "0 of 200 rows (0.0 %), measuring, time left unknown; 0 of 1 points done"),
        (
            snapshot(50, rate=12.34),
            f"50 of 200 rows (25.0 %), 12.3 rows/s, time left unknown; 0 of 1 points done; {DIGEST}: 50 of 200 trials",
        ),
        (
            snapshot(50, rate=12.34, left=12.2, watched=TALLY),
            "50 of 200 rows (25.0 %), 12.3 rows/s, about 12 s left; "
            f"0 of 1 points done; {DIGEST}: 50 of 200 trials, P(gap <= 0.1) in [0.672, 0.999]",
        ),
        (
            snapshot(50, rate=0.5, left=-1.0, failed=2),
            "50 of 200 rows (25.0 %), 0.5 rows/s, about 0 s left, 2 failed; "
            f"0 of 1 points done; {DIGEST}: 50 of 200 trials, 2 failed",
        ),
        (snapshot(200, rate=12.34, left=0.0, finished=True), "200 of 200 rows (100.0 %), took 10 s"),
    ],
)
def test_a_snapshot_is_one_sentence(progress, text):
    assert sentence(progress) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (119.4, "119 s"), (120, "2 min 0 s"), (7199, "119 min 59 s"), (90000, "25 h 0 min")]
)
def test_durations_are_told_in_two_units(seconds, text):
    assert duration(seconds) == text


def test_an_interval_without_trials_is_not_told():
    empty = PointProgress(point=point_of(), done=3, target=9, watched=Tally(epsilon=0.1))
    assert point_text(empty) == "3 of 9 trials"


def test_plain_lines_come_at_growing_intervals(capsys):
    times = iter([0.0, 1.0, 4.9, 5.0, 6.0, 6.5, 40.0, 49.9, 50.1, 4000.0, 4500.0, 4600.1, 4700.0])
    stop = StopRequest()
    lines = PlainLines(stop, news=lambda: ["news"], clock=lambda: next(times))
    for done in (0, 10, 20, 30):
        lines(snapshot(done))
    lines(snapshot(40, message="a trial failed"))
    stop.request()
    for done in (50, 60, 70, 80, 90, 100, 110):
        lines(snapshot(done, message="a trial failed"))
    lines(snapshot(120, finished=True, message="a trial failed"))
    told = capsys.readouterr()
    assert told.out == ""
    starts = [line.split(" of ")[0] for line in told.err.splitlines()]
    stopping = "stopping: what is there is stored"
    assert starts == ["news", "0", "30", "a trial failed", stopping, "60", "90", "110", "120"]


def test_json_lines_tell_points_when_they_change(capsys):
    times = iter([0.0, 0.5, 1.0, 2.0, 2.1])
    lines = JsonLines(StopRequest(), news=lambda: ["news"], clock=lambda: next(times))
    watched = Interval(quantity="mean of the attained gap", low=0.5, high=float("inf"), n_trials=40)
    for done in (0, 10, 20, 20):
        lines(snapshot(done, rate=3.0, left=2.0, failed=1, watched=watched))
    lines(snapshot(200, finished=True, watched=TALLY))
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {event["format"] for event in events} == {"simprune-progress/1"}
    assert [event["event"] for event in events] == ["notice", "progress", "progress", "progress", "finished"]
    assert events[0]["text"] == "news"
    assert [len(event["points"]) for event in events[1:]] == [1, 1, 0, 1]
    assert events[2] == {
        "format": "simprune-progress/1",
        "event": "progress",
        "elapsed_seconds": 9.6,
        "done": 20,
        "target": 200,
        "rows_per_second": 3.0,
        "remaining_seconds": 2.0,
        "failed": 1,
        "points": [
            {
                "point": DIGEST,
                "done": 20,
                "target": 200,
                "failed": 1,
                "interval": {"quantity": "mean of the attained gap", "low": 0.5, "high": None, "trials": 40},
            }
        ],
    }


def test_the_terminal_shows_the_points_that_fit():
    points = tuple(PointProgress(point=point_of(), done=i, target=20, watched=TALLY) for i in range(21))
    console = Console(width=120, file=io.StringIO())
    console.print(drawn(replace(snapshot(0, rate=2.0), points=points), 3))
    told = console.file.getvalue()
    assert "210 of 420 rows, 2 rows/s, time left unknown" in told
    assert told.count("P(gap <= 0.1) in [0.672, 0.999]") == 3
    assert "19 of 20" in told
    assert "1 of 21 points done, 16 more under way" in told


def test_nothing_is_told_of_a_run_that_has_nothing_to_do(capsys):
    PlainLines(StopRequest(), news=lambda: ["news"])(snapshot(200, finished=True))
    assert capsys.readouterr().err == ""


def pieces(terminal):
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            return
        if not piece:
            return
        yield piece


def test_a_terminal_gets_a_bar(tmp_path):
    (tmp_path / "d.toml").write_text(STUDY)
    terminal, inside = pty.openpty()
    arguments = ["run", str(tmp_path / "d.toml"), "-o", str(tmp_path / "r"), *FAST]
    command = [sys.executable, "-m", "simprune.cli", *arguments]
    with subprocess.Popen(command, stdout=inside, stderr=inside, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(inside)
        shown = b"".join(pieces(terminal))
    os.close(terminal)
    assert process.returncode == 0, shown
    assert b"backend: reference" in shown
    assert "━".encode() in shown
    assert b"done: 48 rows computed" in shown


def test_a_run_tells_json_lines(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(STUDY + "[analysis]\nepsilon = 0.5\n")
    result = call("run", path, "-o", tmp_path / "r", "--progress", "json", *FAST)
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert events[-1]["event"] == "finished"
    assert (events[-1]["done"], events[-1]["target"], events[-1]["failed"]) == (48, 48, 0)
    last = {point["point"]: point for event in events for point in event.get("points", ())}
    assert len(last) == 8
    for digest, point in last.items():
        assert point["done"] == 6
        assert point["interval"]["trials"] == 6
        assert 0.0 <= point["interval"]["low"] <= point["interval"]["high"] <= 1.0
        assert digest in call("info", tmp_path / "r").stdout


def test_rows_of_an_earlier_run_are_counted(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(STUDY + "[analysis]\nepsilon = 0.5\n")
    call("run", path, "-o", tmp_path / "r", *FAST)
    path.write_text(path.read_text().replace("trials = 6", "trials = 9"))
    segment = next((tmp_path / "r" / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1])
    result = call("run", path, "-o", tmp_path / "r", "--progress", "json", *FAST)
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert events[0]["text"].startswith(f"damaged: {segment.name}")
    last = {point["point"]: point for event in events for point in event.get("points", ())}
    assert {point["interval"]["trials"] for point in last.values()} == {9}


def test_watching_ends_when_the_run_is_complete(tmp_path):
    path = tmp_path / "d.toml"
    path.write_text(STUDY + "[analysis]\nepsilon = 0.5\n")
    call("run", path, "-o", tmp_path / "r", *FAST)
    before = contents(tmp_path / "r")
    result = call("info", "--watch", tmp_path / "r")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert '"d": 8 points, 48 of 48 rows' in result.stdout
    assert contents(tmp_path / "r") == before
    assert "watching needs a results folder" in told(call("info", "--watch", path))


def test_watching_follows_a_run_and_ctrl_c_ends_it(tmp_path):
    study = point_of()
    design = Design(cells=(study,), trials=100, name="followed", epsilons=(0.1,))
    with FolderStore.open(tmp_path / "r", design, provenance={}) as store:
        command = [sys.executable, "-m", "simprune.cli", "info", "--watch", "--progress", "json", str(tmp_path / "r")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            seen = [json.loads(process.stderr.readline())]
            for first in (0, 25, 50):
                store.append([a_quick_batch(study, first, first + 25)])
                store.flush()
                while seen[-1]["done"] < first + 25:
                    seen.append(json.loads(process.stderr.readline()))
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
        assert process.returncode == 0
        assert json.loads(rest.splitlines()[-1])["text"] == "no longer watching"
    assert seen[0]["done"] == 0
    assert seen[-1]["done"] == 75
    assert seen[-1]["target"] == 100
    (point,) = seen[-1]["points"]
    assert point["interval"]["trials"] == 75
