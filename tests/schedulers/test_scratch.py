import subprocess
import sys

import pytest

from simprune.schedulers.scratch import LOCK, PREFIX, scratch_folder


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_private_and_goes_away(base):
    with scratch_folder() as folder:
        assert folder.parent == base
        assert folder.name.startswith(PREFIX)
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "something").write_text("x")
    assert list(base.iterdir()) == []


def test_folders_of_killed_processes_are_removed_and_those_of_living_ones_stay(base):
    code = (
        "import tempfile, sys, time; tempfile.tempdir = sys.argv[1]\n"
        "from simprune.schedulers.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    print(folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(base)], stdout=subprocess.PIPE, text=True) as other:
        theirs = other.stdout.readline().strip()
        with scratch_folder() as ours:
            assert {str(p) for p in base.iterdir()} == {theirs, str(ours)}
        other.kill()
    with scratch_folder() as ours:
        assert list(base.iterdir()) == [ours]


def test_what_is_not_ours_to_remove_stays(base):
    (base / f"{PREFIX}unlocked").mkdir()
    (base / "elsewhere").mkdir()
    (base / "elsewhere" / LOCK).write_text("")
    (base / f"{PREFIX}link").symlink_to(base / "elsewhere")
    with scratch_folder():
        pass
    assert sorted(p.name for p in base.iterdir()) == ["elsewhere", f"{PREFIX}link", f"{PREFIX}unlocked"]
