"""Packed files made to harm, or damaged: refused with a sentence, never followed."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from simprune.model.errors import InputError
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.packed import PackedSource
from simprune.store.results import open_results
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point, equal

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
    (odd_type, "neither number nor text"),
    (odd_filter, "uses the filters"),
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


@pytest.mark.parametrize(("spoil", "words"), EVIL, ids=lambda value: getattr(value, "__name__", ""))
def test_hostile_files_are_refused_at_once(good: Path, tmp_path: Path, spoil: Callable[..., None], words: str) -> None:
    path = tmp_path / "evil.h5"
    shutil.copy(good, path)
    shutil.copy(good.with_name("secret.h5"), tmp_path / "secret.h5")
    with h5py.File(path, "r+") as file:
        spoil(file)
    begun = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_results(path)
    assert words in str(caught.value)
    assert time.monotonic() - begun < 1.0


def test_wrong_trials_and_checksums_are_told_when_read(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "evil.h5"
    shutil.copy(good, path)
    with h5py.File(path, "r+") as file:
        file[GROUP]["gap_upper"][3] = 7.0
        file[GROUP]["trial"][3] = 2
    results = open_results(path)
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
        open_results(path).trained(FIXED)


def test_flips_in_a_packed_file_are_refused_or_harmless(good: Path, tmp_path: Path) -> None:
    path = tmp_path / "flipped.h5"
    content = good.read_bytes()
    random = np.random.default_rng(8)
    refused = 0
    for place in random.integers(len(content), size=150).tolist():
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            results = open_results(path)
            table = results.table(POINT)
        except InputError:
            refused += 1
        else:
            assert equal(table, a_batch(POINT, 0, 20))
    assert refused > 10


def test_cut_packed_files_are_refused(good: Path, tmp_path: Path) -> None:
    content = good.read_bytes()
    for length in range(0, len(content), len(content) // 20):
        (tmp_path / "cut.h5").write_bytes(content[:length])
        with pytest.raises(InputError, match="must be"):
            open_results(tmp_path / "cut.h5")
