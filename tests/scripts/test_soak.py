"""A short soak: twenty kills of real runs, and the faults that it would tell."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import soak_kills
    import soak_main
    import soak_run

    yield soak_main, soak_kills, soak_run
    for name in ("soak_main", "soak_kills", "soak_run"):
        del sys.modules[name]


@pytest.mark.slow
def test_twenty_kills_lose_nothing():
    command = [sys.executable, "-m", "soak_main", "20", "--lanes", "2", "--seed", "5"]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split(maxsplit=1) for line in done.stdout.splitlines()[1:]]
    counted = {name: int(number) for number, name in told}
    assert sum(n for name, n in counted.items() if name.startswith("killed")) == 20
    assert sum(n for name, n in counted.items() if not name.startswith("killed")) == 0


def begun(soak, place):
    """A campaign that is complete, and its folder."""
    _, kills, run = soak
    assert run.main(str(place / "results"), "1", "serial") == 0
    return kills.Campaign(place, 1, "serial", kills.Budget(0))


@pytest.mark.slow
def test_every_fault_is_told(soak, tmp_path):
    main, _, run = soak
    campaign = begun(soak, tmp_path)
    assert main.faults_of(campaign.complete()) == 0
    segments = sorted((tmp_path / "results" / "segments").iterdir())
    segments[3].unlink()
    assert run.main(str(tmp_path / "results"), "1", "serial") == 0
    assert "lost" in (tmp_path / "faults.txt").read_text()
    (tmp_path / "results" / "segments" / "seg-000000009999.h5").write_bytes(segments[0].read_bytes())
    segments[1].write_bytes(segments[1].read_bytes()[:-1])
    campaign.counts = Counter()
    campaign._check()
    assert campaign.counts["lost"] > 0
    assert campaign.counts["doubled"] == 1
    assert campaign.counts["unreadable"] >= 1
    assert campaign.counts["different"] >= 1
    assert main.faults_of(campaign.counts) > 0
