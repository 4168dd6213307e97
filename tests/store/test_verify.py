import shutil
from pathlib import Path

import h5py
import pytest

from simprune.model.errors import InputError
from simprune.store.failures import FailedTrials
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.verify import Finding, check
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point

NETWORK = a_network()
POINT, FIXED = a_point(), a_fixed_point(NETWORK)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "results"
    with FolderStore.open(path, a_design(POINT, FIXED, networks=(NETWORK,)), provenance={}) as store:
        for first in (0, 10):
            store.append([a_batch(POINT, first, first + 10)])
            store.flush()
    return path


def bad(findings: list[Finding]) -> list[str]:
    return [f"{finding.where}: {finding.text}" for finding in findings if not finding.ok]


def test_good_results_are_counted(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "p.h5")
    for path in (folder, tmp_path / "p.h5"):
        findings = check(path)
        assert bad(findings) == []
        assert [f.text for f in findings] == [
            "20 of 100 trials, every checksum agrees",
            "0 of 100 trials, every checksum agrees",
            "the weights are those of its name",
        ]


def test_a_damaged_segment_is_found(folder: Path) -> None:
    path = folder / "segments" / "seg-000000000001.h5"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    (told,) = bad(check(folder))
    assert told.startswith("seg-000000000001.h5: ")
    assert "run the design again" in told
    FolderStore.open(folder, a_design(POINT, FIXED, networks=(NETWORK,)), provenance={}).close()
    findings = check(folder)
    assert bad(findings) == []
    assert findings[0].where == "bad-000000000001.h5"


def test_rows_in_two_segments_are_found(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "segments/seg-000000000000.h5", folder / "segments/seg-000000000007.h5")
    findings = check(folder)
    assert bad(findings) == []
    assert findings[0].text == "10 of its rows are in an earlier segment too and are ignored"


def test_a_damaged_network_and_failed_trials_are_found(folder: Path) -> None:
    (folder / "networks" / f"{NETWORK.sha256}.npz").write_bytes(b"")
    with FolderStore.open(folder, a_design(POINT, FIXED, networks=(NETWORK,)), provenance={}) as store:
        store.record_failures([FailedTrials(digest=FIXED.digest(), first=3, stop=5, reason="it raised")])
    (folder / "networks" / f"{NETWORK.sha256}.npz").write_bytes(b"")
    told = bad(check(folder))
    assert [line.partition(":")[0] for line in told] == [f"network {NETWORK.sha256[:16]}", f"point {FIXED.digest()[:16]}"]
    assert "trials 3..4 could not be computed: it raised" in told[1]


@pytest.mark.parametrize("name", ["gap_lower", "trial", "threshold"])
def test_changed_rows_of_a_packed_file_are_found(folder: Path, tmp_path: Path, name: str) -> None:
    pack(folder, tmp_path / "p.h5")
    with h5py.File(tmp_path / "p.h5", "r+") as file:
        file[f"points/{POINT.digest()[:16]}/{name}"][19] = 21
    (told,) = bad(check(tmp_path / "p.h5"))
    assert f"{name} does not match its checksum" in told


def test_no_results_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        check(tmp_path / "absent")
    with pytest.raises(InputError, match="must be a results folder"):
        check(tmp_path)
