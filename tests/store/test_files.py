import errno
import os
from pathlib import Path

import pytest

from simprune.store.errors import StoreError
from simprune.store.files import remove_temporaries, write_atomic


def test_a_file_appears_with_all_its_bytes(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"x" * 100_000)
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000
    assert os.listdir(tmp_path) == ["a"]


def test_an_existing_file_is_kept_unless_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"old")
    with pytest.raises(StoreError):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomic(path, b"new", replace=True)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:7]))
    write_atomic(tmp_path / "a", bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    write_atomic(tmp_path / "a", b"old")
    with pytest.raises(StoreError):
        write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ENODEV])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "unlink"])
def test_an_error_of_any_call_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    original, refused = getattr(os, call), []

    def refuse_once(*arguments: object, **named: object) -> object:
        if not refused:
            refused.append(call)
            raise OSError(number, os.strerror(number))
        return original(*arguments, **named)

    monkeypatch.setattr(os, call, refuse_once)
    with pytest.raises(StoreError, match=r"could not be stored: .*; what was committed before stays"):
        write_atomic(tmp_path / "a", b"bytes")
    assert refused
    assert os.listdir(tmp_path) == []


def test_an_error_of_the_last_fsync_takes_the_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = os.fsync, []

    def refuse_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        original(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_second)
    with pytest.raises(StoreError, match="disk must work"):
        write_atomic(tmp_path / "a", b"bytes")
    assert os.listdir(tmp_path) == []


def test_an_interrupt_takes_the_file_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simprune.store.files.sync_directory", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"bytes")
    assert os.listdir(tmp_path) == []


def test_only_temporaries_are_removed(tmp_path: Path) -> None:
    for name in (".tmp-1", "a", ".b"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".b", "a"]
