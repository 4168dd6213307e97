"""Results made to harm, or damaged: refused with a sentence, soon, in little memory, never followed."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from simprune.model.errors import InputError
from simprune.store import guard
from simprune.store.child import run_module
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.packed import PackedSource
from simprune.store.results import open_results
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point, equal
from tests.store.looks import assert_refused, looked_at

NETWORK = a_network()
POINT, FIXED = a_point(), a_fixed_point(NETWORK)
GROUP = f"points/{POINT.digest()[:16]}"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    with FolderStore.open(path / "results", a_design(POINT, FIXED, networks=(NETWORK,)), provenance={}) as store:
        store.append([a_batch(POINT, 0, 20)])
    pack(path / "results", path / "packed.h5")
    with h5py.File(path / "secret.h5", "w") as file:
        file["s"] = np.arange(20.0)
    return path / "packed.h5"


def replaced(file: h5py.File, name: str = "gap_lower", **made: object) -> None:
    del file[GROUP][name]
    file[GROUP].create_dataset(name, **made)


def external_link(file: h5py.File) -> None:
    del file[GROUP]["gap_lower"]
    file[GROUP]["gap_lower"] = h5py.ExternalLink("secret.h5", "/s")


def soft_link(file: h5py.File) -> None:
    del file[GROUP]["gap_lower"]
    file[GROUP]["gap_lower"] = h5py.SoftLink(f"/{GROUP}/gap_upper")


def external_storage(file: h5py.File) -> None:
    replaced(file, shape=(20,), dtype="<f8", external=[("/etc/passwd", 0, 160)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((20,), "<f8")
    layout[:] = h5py.VirtualSource("secret.h5", "s", (20,))
    del file[GROUP]["gap_lower"]
    file[GROUP].create_virtual_dataset("gap_lower", layout)


def huge(file: h5py.File) -> None:
    for name in list(file[GROUP]):
        old = file[GROUP][name]
        shape = (10**13, *old.shape[1:])
        replaced(file, name, shape=shape, dtype=old.dtype, chunks=(1024, *old.shape[1:]))


def bomb(file: h5py.File) -> None:
    replaced(file, data=np.zeros(20_000_000), chunks=(1_000_000,), compression="gzip")


def giant_chunks(file: h5py.File) -> None:
    replaced(file, shape=(20_000_000,), dtype="<f8", chunks=(20_000_000,), compression="gzip")


def odd_type(file: h5py.File) -> None:
    replaced(file, data=np.zeros(20, dtype=[("a", "<f8")]))


def odd_filter(file: h5py.File) -> None:
    replaced(file, data=np.zeros(20), chunks=(20,), compression="lzf")


def lying_chunk(file: h5py.File) -> None:
    """A chunk that is marked as stored without its filters."""
    dataset = file[GROUP].create_dataset("more", shape=(20,), dtype="<f8", chunks=(20,), fletcher32=True)
    dataset.id.write_direct_chunk((0,), bytes(160), filter_mask=1)


def many_axes(file: h5py.File) -> None:
    replaced(file, data=np.zeros((1,) * 9))


def many_attributes(file: h5py.File) -> None:
    for i in range(300):
        file[GROUP].attrs[f"a{i}"] = i


def large_attribute(file: h5py.File) -> None:
    file.attrs["a"] = np.zeros(1 << 18)


def odd_attribute(file: h5py.File) -> None:
    file.attrs["a"] = np.void(b"opaque")


def cycle(file: h5py.File) -> None:
    file[GROUP]["loop"] = file["/"]


def deep(file: h5py.File) -> None:
    file.create_group("/".join("abcdefgh"))


def other_shape(file: h5py.File) -> None:
    replaced(file, data=np.zeros(19))


def other_dtype(file: h5py.File) -> None:
    replaced(file, data=np.zeros(20, dtype="<f4"))


def no_point(file: h5py.File) -> None:
    del file[GROUP]


def other_point(file: h5py.File) -> None:
    file[GROUP].attrs["digest"] = "0" * 64


def no_run(file: h5py.File) -> None:
    del file.attrs["run"]


def odd_run(file: h5py.File) -> None:
    file.attrs["run"] = "[" * 100_000


def newer(file: h5py.File) -> None:
    file.attrs["format_version"] = "2.0"


def strange(file: h5py.File) -> None:
    file.attrs["filetype"] = "something else"


EVIL: list[tuple[Callable[[h5py.File], None], str]] = [
    (external_link, "link to elsewhere"),
    (soft_link, "link to elsewhere"),
    (external_storage, "stored in another file"),
    (virtual, "stored in another file"),
    (huge, "declares more rows than it stores"),
    (bomb, "exceed 64 times"),
    (giant_chunks, "chunks of more than 64 MiB"),
    (odd_type, "holds no numbers"),
    (odd_filter, "uses the filters"),
    (lying_chunk, "outside the file or stored in another way"),
    (many_axes, "more than 4 axes"),
    (many_attributes, "302 attributes, more than 256"),
    (large_attribute, "more than 1 MiB"),
    (odd_attribute, "odd type"),
    (cycle, "linked twice"),
    (deep, "too deep"),
    (other_shape, "not <f8"),
    (other_dtype, "not <f8"),
    (no_point, "cannot be read"),
    (other_point, "another point than the root"),
    (no_run, "cannot be read"),
    (odd_run, "cannot be understood"),
    (newer, "or older, got 2.0; install a newer simprune"),
    (strange, "must be of the type 'simprune results', got 'something else'"),
]


@pytest.mark.fault("X1")
def test_hostile_packed_files_are_refused_soon_and_in_little_memory(good: Path, tmp_path: Path) -> None:
    shutil.copy(good.with_name("secret.h5"), tmp_path / "secret.h5")
    paths = [tmp_path / f"{spoil.__name__}.h5" for spoil, _ in EVIL]
    for path, (spoil, _) in zip(paths, EVIL, strict=True):
        shutil.copy(good, path)
        with h5py.File(path, "r+") as file:
            spoil(file)
    for ended, (_, words) in zip(looked_at(paths), EVIL, strict=True):
        assert_refused(ended, words)


def test_what_the_process_tells_becomes_one_sentence(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.h5"
    shutil.copy(good, path)
    assert equal(open_results(path).table(POINT), a_batch(POINT, 0, 20))
    with h5py.File(path, "r+") as file:
        external_link(file)
    with pytest.raises(InputError, match="link to elsewhere") as caught:
        open_results(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, "the HDF5 library crashed"),
        (signal.SIGPROF, "it took more processor time"),
        (signal.SIGKILL, "its process was killed"),
    ],
)
def test_a_process_that_dies_is_one_sentence_too(
    good: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    monkeypatch.setattr(guard, "run_module", lambda *_, **__: run_module("tests.store.dying", [str(int(number))]))
    with pytest.raises(InputError, match=f"must be genuine results, but when they were read {words}"):
        open_results(good)


def test_a_process_that_does_not_end_is_ended(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "run_module", lambda *_, **__: run_module("tests.store.dying", ["0"], seconds=1.0))
    with pytest.raises(InputError, match="did not end within 1 s"):
        open_results(good)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_no_results(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "odd")
    with pytest.raises(InputError, match="is a pipe or device"):
        open_results(tmp_path / "odd")


def test_wrong_trials_and_checksums_are_told_when_read(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.h5"
    shutil.copy(good, path)
    with h5py.File(path, "r+") as file:
        file[GROUP]["gap_upper"][3] = 7.0
        file[GROUP]["trial"][3] = 2
    results = open_results(path, trusted=True)
    with pytest.raises(InputError, match="gap_upper does not match its checksum"):
        list(PackedSource(path).pieces(POINT.digest(), POINT, names=["gap_upper"]))
    with pytest.raises(InputError, match="each trial once in rising order"):
        results.column(POINT, "gap_lower")


def test_other_weights_under_a_networks_name_are_refused(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.h5"
    shutil.copy(good, path)
    with h5py.File(path, "r+") as file:
        file[f"networks/{NETWORK.sha256[:16]}/W0"][0, 0] += 1
    with pytest.raises(InputError, match="other weights than its name says"):
        open_results(path, trusted=True).trained(FIXED)
