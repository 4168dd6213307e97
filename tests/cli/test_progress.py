import os
import pty
import subprocess
import sys

import pytest

from simprune.cli.progress import PlainLines, duration, sentence
from simprune.engine import PointProgress, Progress, StopRequest
from tests.cli.calls import FAST, STUDY
from tests.test_api import point_of


def snapshot(done, *, rate=None, left=None, finished=False, failed=0, message=""):
    return Progress(
        points=(PointProgress(point=point_of(), done=done, target=200),),
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
        (snapshot(0), "0 of 200 rows (0.0 %), measuring"),
        (snapshot(50, rate=12.34), "50 of 200 rows (25.0 %), 12.3 rows/s"),
        (snapshot(50, rate=12.34, left=12.2), "50 of 200 rows (25.0 %), 12.3 rows/s, about 12 s left"),
        (snapshot(50, rate=0.5, left=-1.0, failed=2), "50 of 200 rows (25.0 %), 0.5 rows/s, about 0 s left, 2 failed"),
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


def test_plain_lines_come_every_few_seconds(capsys):
    times = iter([0.0, 1.0, 4.9, 5.0, 6.0, 6.5, 7.0])
    stop = StopRequest()
    lines = PlainLines(stop, news=lambda: ["news"], clock=lambda: next(times))
    for done in (0, 10, 20, 30):
        lines(snapshot(done))
    lines(snapshot(40, message="a trial failed"))
    stop.request()
    lines(snapshot(50, message="a trial failed"))
    lines(snapshot(60, finished=True, message="a trial failed"))
    told = capsys.readouterr()
    assert told.out == ""
    starts = [line.split(" of ")[0] for line in told.err.splitlines()]
    assert starts == ["news", "0", "30", "a trial failed", "stopping: what is there is stored", "60"]


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
