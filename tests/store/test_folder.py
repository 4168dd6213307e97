"""The results folder: opening, continuing, refusing, recovering."""

import json
import os
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from simprune.design.design import Design
from simprune.model.errors import InputError
from simprune.rng import canonical_json
from simprune.store import folder as folder_module
from simprune.store.errors import StoreError
from simprune.store.failures import FailedTrials
from simprune.store.folder import COALESCE_BYTES, FolderStore
from simprune.store.networks import load_network
from simprune.store.results import open_results
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point, a_quick_batch, equal

POINT = a_point()


def opened(path: Path, design: Design | None = None, **provenance: object) -> FolderStore:
    return FolderStore.open(path, design or a_design(POINT), provenance=provenance)


def segments(path: Path) -> list[str]:
    return sorted(os.listdir(path / "segments"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three segments with the trials 0..29."""
    path = tmp_path / "results"
    with opened(path) as store:
        for first in (0, 10, 20):
            store.append([a_batch(POINT, first, first + 10)])
            store.flush()
    return path


def test_rows_and_record_are_there_after_reopening(folder: Path) -> None:
    assert segments(folder) == [f"seg-{i:012d}.h5" for i in range(3)]
    with opened(folder) as store:
        assert store.quarantined == ()
        assert store.completed(POINT) == ((0, 30),)
        assert equal(store.read(POINT), a_batch(POINT, 0, 30))
        store.append([a_batch(POINT, 30, 31)])
    assert segments(folder)[-1] == "seg-000000000003.h5"


def test_run_json_tells_what_made_the_numbers(tmp_path: Path) -> None:
    design = a_design(POINT)
    opened(tmp_path / "r", design, backend="cpu").close()
    told = json.loads((tmp_path / "r" / "run.json").read_bytes())
    assert told["fingerprint"] == design.fingerprint()
    assert (told["name"], told["trials"], told["epsilons"], told["delta"]) == ("made up", 100, [0.1, 0.2], 0.05)
    assert told["text"] == design.text
    assert told["points"] == [{"digest": POINT.digest(), "point": POINT.to_dict()}]
    for key in (
        "simprune_version",
        "python_version",
        "numpy_version",
        "numba_version",
        "h5py_version",
        "rng_scheme",
        "host",
    ):
        assert told["provenance"][key]
    assert told["provenance"]["backend"] == "cpu"


def test_rows_wait_until_there_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(folder_module.time, "monotonic", lambda: now[0])
    path = tmp_path / "r"
    with opened(path) as store:
        store.append([a_batch(POINT, 0, 5)])
        now[0] += 4.9
        store.append([a_batch(POINT, 5, 10)])
        assert segments(path) == []
        assert store.completed(POINT) == ((0, 10),)
        now[0] += 0.2
        store.append([a_batch(POINT, 10, 15)])
        assert len(segments(path)) == 1
        big = a_quick_batch(POINT, 15, 15 + COALESCE_BYTES // 64)
        store.append([big])
        assert len(segments(path)) == 2
        store.append([])
        now[0] += 1000
        store.append([a_batch(POINT, 0, 5)])
        assert len(segments(path)) == 2
        store.append([a_batch(POINT, big.stop, big.stop + 1)])
        assert len(segments(path)) == 3


def test_waiting_rows_are_committed_when_an_exception_leaves_the_store(tmp_path: Path) -> None:
    def interrupted() -> None:
        with opened(tmp_path / "r") as store:
            store.append([a_batch(POINT, 0, 5)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with opened(tmp_path / "r") as store:
        assert store.completed(POINT) == ((0, 5),)


def test_a_closed_store_takes_no_rows(folder: Path) -> None:
    store = opened(folder)
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.append([a_batch(POINT, 50, 51)])
    store.close()


@pytest.mark.fault("S5")
def test_a_second_writer_is_refused_and_told_who_writes(folder: Path) -> None:
    with opened(folder), pytest.raises(StoreError, match=f"one writer, but process {os.getpid()} on .* is writing"):
        opened(folder)
    opened(folder).close()


def test_more_trials_are_written_down_and_fewer_are_not(folder: Path) -> None:
    for trials, expected in ((250, 250), (40, 250)):
        opened(folder, a_design(POINT, trials=trials)).close()
        assert json.loads((folder / "run.json").read_bytes())["trials"] == expected


def test_another_machine_or_backend_is_written_down_once(folder: Path) -> None:
    for _ in range(3):
        opened(folder, backend="cpu").close()
    assert [p["backend"] for p in json.loads((folder / "run.json").read_bytes())["provenance"]["continued"]] == ["cpu"]


@pytest.mark.fault("S5")
@pytest.mark.parametrize(
    ("other", "words"),
    [
        (a_point(seed=7), r"seed \(1 in the folder, 7 in the design\)"),
        (a_point(alpha=0.3), r"rule.alpha \(0.5 in the folder, 0.3 in the design\)"),
        (a_point(widths=(3, 9, 2)), r"network.widths \(\[3,5,2\] in the folder, \[3,9,2\] in the design\)"),
    ],
)
def test_another_design_is_refused_in_words(folder: Path, other: object, words: str) -> None:
    before = (folder / "run.json").read_bytes()
    with pytest.raises(InputError, match=words):
        opened(folder, a_design(other))  # type: ignore[arg-type]
    assert (folder / "run.json").read_bytes() == before
    opened(folder).close()


def test_more_points_are_another_design(folder: Path) -> None:
    with pytest.raises(InputError, match=r"rule.alpha \(0.5 in the folder, 0.4 / 0.5 in the design\)"):
        opened(folder, a_design(POINT, a_point(alpha=0.4)))


@pytest.mark.fault("S5")
def test_a_newer_format_is_refused(folder: Path) -> None:
    told = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps(told | {"format_version": "2.0"}))
    with pytest.raises(InputError, match=r"format version 1\.0 or older, got 2\.0; install a newer simprune"):
        opened(folder)
    del told["crc32"]
    told["format_version"] = "1.7"
    (folder / "run.json").write_text(json.dumps(told | {"crc32": zlib.crc32(canonical_json(told))}))
    opened(folder).close()


def test_a_record_that_was_changed_is_refused(folder: Path) -> None:
    text = (folder / "run.json").read_text()
    (folder / "run.json").write_text(text.replace('"trials": 100', '"trials": 101'))
    for attempt in (opened, open_results):
        with pytest.raises(InputError, match="its checksum does not match"):
            attempt(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"filetype": "other"}', '{"filetype": "simprune results"}'])
def test_a_broken_record_is_refused(folder: Path, text: str) -> None:
    (folder / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json must"):
        opened(folder)
    assert len(segments(folder)) == 3


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="must be empty or a results folder"):
        opened(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        opened(tmp_path / "thesis.tex")
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_segments_without_a_record_are_not_taken_over(folder: Path) -> None:
    (folder / "run.json").unlink()
    with pytest.raises(InputError, match=r"it has no run\.json"):
        opened(folder)


def test_rows_of_a_point_outside_the_design_are_refused(folder: Path) -> None:
    with opened(folder) as store, pytest.raises(InputError, match="point of the folder's design"):
        store.append([a_batch(a_point(seed=9), 0, 1)])


@pytest.mark.fault("S4")
def test_a_damaged_segment_is_named_set_aside_and_asked_for_again(folder: Path) -> None:
    path = folder / "segments" / "seg-000000000001.h5"
    damaged = bytearray(path.read_bytes())
    damaged[3000] ^= 4
    path.write_bytes(damaged)
    with opened(folder) as store:
        assert len(store.quarantined) == 1
        assert "seg-000000000001.h5 has checksum" in store.quarantined[0]
        assert store.completed(POINT) == ((0, 10), (20, 30))
        store.append([a_batch(POINT, 0, 30)])
        assert equal(store.read(POINT), a_batch(POINT, 0, 30))
    assert segments(folder) == [
        "bad-000000000001.h5",
        "seg-000000000000.h5",
        "seg-000000000002.h5",
        "seg-000000000003.h5",
    ]
    with opened(folder) as store:
        assert store.quarantined == ()


@pytest.mark.fault("S4")
def test_hundreds_of_flips_and_cuts_are_never_silent(folder: Path) -> None:
    path = folder / "segments" / "seg-000000000002.h5"
    good = path.read_bytes()
    random = np.random.default_rng(2)
    for i in range(100):
        place = int(random.integers(len(good)))
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged if i % 4 else good[:place])
        with opened(folder) as store:
            assert len(store.quarantined) == 1
            assert store.completed(POINT) == ((0, 20),)
    path.write_bytes(good)
    with opened(folder) as store:
        assert store.completed(POINT) == ((0, 30),)


def test_a_segment_of_another_design_is_set_aside(folder: Path, tmp_path: Path) -> None:
    other = a_point(seed=5)
    with opened(tmp_path / "other", a_design(other)) as store:
        store.append([a_batch(other, 0, 3)])
    (tmp_path / "other/segments/seg-000000000000.h5").rename(folder / "segments" / "seg-000000000009.h5")
    with opened(folder) as store:
        assert "not in the design" in store.quarantined[0]
        store.append([a_batch(POINT, 30, 31)])
    assert "seg-000000000010.h5" in segments(folder)


def test_what_interrupted_writes_left_is_deleted(folder: Path) -> None:
    for place in (folder, folder / "segments", folder / "networks"):
        (place / ".tmp-1").write_bytes(b"half")
    with opened(folder) as store:
        assert store.completed(POINT) == ((0, 30),)
    assert not list(folder.rglob(".tmp-*"))


def test_failures_survive_and_leave_when_computed(folder: Path) -> None:
    failure = FailedTrials(digest=POINT.digest(), first=30, stop=34, reason="worker died")
    with opened(folder) as store:
        store.record_failures([failure])
    with opened(folder) as store:
        assert store.failed == (failure,)
        store.append([a_batch(POINT, 30, 33)])
    told = json.loads((folder / "failed.json").read_bytes())
    assert told == [{"point": POINT.digest(), "first": 33, "stop": 34, "reason": "worker died"}]


def test_fixed_targets_are_kept_and_restored(tmp_path: Path) -> None:
    network = a_network()
    design = a_design(a_fixed_point(network), networks=(network,))
    path = tmp_path / "r"
    for damage in (None, b"", b"not a zip"):
        if damage is not None:
            (path / "networks" / f"{network.sha256}.npz").write_bytes(damage)
        opened(path, design).close()
        kept = load_network(path, network.sha256, origin="made up")
        for ours, theirs in zip((*kept.weights, *kept.biases), (*network.weights, *network.biases), strict=True):
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == theirs.tobytes()


def test_memory_does_not_grow_with_the_number_of_trials(tmp_path: Path) -> None:
    step = COALESCE_BYTES // 100
    held = []
    with opened(tmp_path / "r") as store:
        tracemalloc.start()
        for first in range(0, 12 * step, step):
            store.append([a_quick_batch(POINT, first, first + step)])
            store.flush()
            held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert store.completed(POINT) == ((0, 12 * step),)
    assert held[-1] - held[2] < 100_000
