"""Results folders made to harm, or damaged: refused, or the bad part left out, with a sentence; soon, in little memory."""

import os
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from simprune.store.folder import FolderStore
from simprune.store.verify import check
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point
from tests.store.looks import assert_modest, assert_refused, committed, looked_at

NETWORK = a_network()
POINT, FIXED = a_point(), a_fixed_point(NETWORK)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    with FolderStore.open(path / "results", a_design(POINT, FIXED, networks=(NETWORK,)), provenance={}) as store:
        store.append([a_batch(POINT, 0, 20)])
    return path / "results"


def in_folder(folder: Path, file: Path | None = None) -> Path:
    """The segment of the folder, or the file itself, gone: something else will take its name."""
    path = file or folder / "segments" / "seg-000000000000.h5"
    path.unlink()
    return path


def linked_record(folder: Path) -> None:
    shutil.copy(folder / "run.json", folder.with_name("elsewhere.json"))
    in_folder(folder, folder / "run.json").symlink_to(folder.with_name("elsewhere.json"))


def endless_record(folder: Path) -> None:
    in_folder(folder, folder / "run.json").symlink_to("/dev/zero")


def piped_record(folder: Path) -> None:
    os.mkfifo(in_folder(folder, folder / "run.json"))


def socket_record(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(in_folder(folder, folder / "run.json")))


def folder_record(folder: Path) -> None:
    in_folder(folder, folder / "run.json").mkdir()


def nested_record(folder: Path) -> None:
    (folder / "run.json").write_text('{"a":' * 200_000)


def large_record(folder: Path) -> None:
    with (folder / "run.json").open("wb") as file:
        file.truncate(17 << 20)


def greedy_record(folder: Path) -> None:
    (folder / "run.json").write_bytes(b"[" + b"[]," * 700_000 + b"[]]")


def long_number(folder: Path) -> None:
    (folder / "run.json").write_text('{"filetype": ' + "9" * 1_000_000 + "}")


def piped_failures(folder: Path) -> None:
    os.mkfifo(folder / "failed.json")


def nested_stops(folder: Path) -> None:
    (folder / "stops.json").write_text("[" * 200_000)


def linked_segments(folder: Path) -> None:
    (folder / "segments").rename(folder.with_name("segments-elsewhere"))
    (folder / "segments").symlink_to(folder.with_name("segments-elsewhere"))


FOLDERS: list[tuple[Callable[[Path], None], str]] = [
    (linked_record, "must be a plain file, got a link"),
    (endless_record, "must be a plain file, got a link"),
    (piped_record, "got a pipe"),
    (socket_record, "got a socket or device"),
    (folder_record, "got a folder"),
    (nested_record, "cannot be understood (RecursionError"),
    (large_record, "at most 16 MiB"),
    (greedy_record, "cannot be understood"),
    (long_number, "cannot be understood"),
    (piped_failures, "got a pipe"),
    (nested_stops, "must list stopped points"),
    (linked_segments, "must be a folder, got a link"),
]


@pytest.mark.fault("X1")
def test_hostile_folders_are_refused_soon_and_in_little_memory(good: Path, tmp_path: Path) -> None:
    places = [tmp_path / spoil.__name__ / "results" for spoil, _ in FOLDERS]
    for place, (spoil, _) in zip(places, FOLDERS, strict=True):
        shutil.copytree(good, place)
        spoil(place)
    for ended, (_, words) in zip(looked_at(places), FOLDERS, strict=True):
        assert_refused(ended, words)


def linked_segment(folder: Path) -> None:
    in_folder(folder).symlink_to("/dev/zero")


def piped_segment(folder: Path) -> None:
    os.mkfifo(in_folder(folder))


def external_segment(folder: Path) -> None:
    with h5py.File(folder.with_name("plain.h5"), "w") as file:
        file["part-000000"] = h5py.ExternalLink("secret.h5", "/s")
    committed(in_folder(folder), folder.with_name("plain.h5").read_bytes())


def huge_segment(folder: Path) -> None:
    with h5py.File(folder.with_name("plain.h5"), "w") as file:
        file.create_dataset("part-000000/trial", shape=(10**13,), dtype="<f8", chunks=(1024,))
    committed(in_folder(folder), folder.with_name("plain.h5").read_bytes())


def linked_network(folder: Path) -> None:
    in_folder(folder, folder / "networks" / f"{NETWORK.sha256}.npz").symlink_to("/dev/zero")


def lying_network(folder: Path) -> None:
    path = in_folder(folder, folder / "networks" / f"{NETWORK.sha256}.npz")
    header = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(
        117
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("W0.npy", header + b"\n" + bytes(64))


def inflated_network(folder: Path) -> None:
    np.savez_compressed(in_folder(folder, folder / "networks" / f"{NETWORK.sha256}.npz"), W0=np.zeros((5000, 5000)))


PARTS: list[tuple[Callable[[Path], None], str]] = [
    (linked_segment, "must be a plain file, got a link"),
    (piped_segment, "must be a plain file, got a pipe"),
    (external_segment, "is a link to elsewhere"),
    (huge_segment, "declares more rows than it stores"),
    (linked_network, "must be a plain file, got a link"),
    (lying_network, "cannot be read"),
    (inflated_network, "compressed members"),
]


def test_hostile_parts_of_a_folder_are_named_and_left_out(good: Path, tmp_path: Path) -> None:
    places = [tmp_path / spoil.__name__ / "results" for spoil, _ in PARTS]
    for place, (spoil, _) in zip(places, PARTS, strict=True):
        shutil.copytree(good, place)
        spoil(place)
    for ended, (_, words) in zip(looked_at(places), PARTS, strict=True):
        assert ended.code == 0, ended
        assert_modest(ended)
        (finding,) = [finding for finding in check(ended.path) if not finding.ok]
        assert words in finding.text
