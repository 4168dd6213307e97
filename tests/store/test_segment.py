"""Segments: round trips, and damage that is never silent."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from simprune.records import TrialTable, columns_of
from simprune.store.coalesce import MAX_JOINED, joined
from simprune.store.errors import CorruptSegment
from simprune.store.segment import CHUNK_BYTES, HEADER_BYTES, encode, read_columns, read_entries, read_info
from tests.store.factories import a_batch, a_point, a_quick_batch, equal

POINTS = (a_point(), a_point(alpha=0.25, witness=True))
BATCHES = [a_batch(POINTS[0], 3, 9, seconds=np.float64(1.5), n=np.int64(2)), a_batch(POINTS[1], 0, 4)]
NAMES = [[spec.name for spec in columns_of(point)] for point in POINTS]


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "seg-000000000000.h5"
    path.write_bytes(encode(BATCHES))
    return path


def test_a_segment_gives_back_its_parts(segment: Path) -> None:
    entries = read_entries(segment)
    assert [(e.digest, e.first, e.stop) for e in entries] == [(b.point.digest(), b.first, b.stop) for b in BATCHES]
    for entry, batch, names in zip(entries, BATCHES, NAMES, strict=True):
        columns = read_columns(segment, entry, batch.point, names=names)
        assert equal(TrialTable(point=batch.point, columns=columns), batch)
    assert read_info(segment, entries[0]) == {"seconds": 1.5, "n": 2}


def test_plain_h5py_opens_a_segment(segment: Path) -> None:
    with h5py.File(segment, "r") as file:
        assert file["part-000000"].attrs["point"] == POINTS[0].digest()
        dataset = file["part-000000/gap_lower"]
        assert dataset[()].tobytes() == BATCHES[0].columns["gap_lower"].tobytes()
        assert dataset.fletcher32
        assert dataset.compression is None


def test_encoding_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    encode(BATCHES)
    assert list(tmp_path.iterdir()) == []


def test_chunks_hold_at_most_one_mebibyte(tmp_path: Path) -> None:
    wide = a_point(widths=(200_000, 2), witness=True)
    path = tmp_path / "s.h5"
    path.write_bytes(encode([a_quick_batch(wide, 0, 3), a_quick_batch(POINTS[0], 0, 300_000)]))
    with h5py.File(path, "r") as file:
        for group in file.values():
            for dataset in group.values():
                assert np.prod(dataset.chunks) * dataset.dtype.itemsize <= CHUNK_BYTES
    entry = read_entries(path)[0]
    assert (
        read_columns(path, entry, wide, names=["witness"])["witness"] == a_quick_batch(wide, 0, 3).columns["witness"]
    ).all()


def test_any_flipped_bit_is_noticed(segment: Path) -> None:
    good = segment.read_bytes()
    random = np.random.default_rng(11)
    places = [*range(0, HEADER_BYTES, 5), *random.integers(HEADER_BYTES, len(good), size=250).tolist()]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        segment.write_bytes(bad)
        with pytest.raises(CorruptSegment):
            read_entries(segment)


def test_any_truncation_or_extension_is_noticed(segment: Path) -> None:
    good = segment.read_bytes()
    for bad in [*(good[:length] for length in range(0, len(good), 167)), good[:-1], good + b"\0", b"", b"\x89HDF\r\n\x1a\n"]:
        segment.write_bytes(bad)
        with pytest.raises(CorruptSegment):
            read_entries(segment)


@pytest.mark.fault("S4")
@pytest.mark.slow
def test_fifteen_hundred_flips_and_all_lengths_are_noticed(segment: Path) -> None:
    good = segment.read_bytes()
    random = np.random.default_rng(13)
    silent = 0
    for place, bit in zip(random.integers(len(good), size=1500).tolist(), random.integers(8, size=1500), strict=True):
        bad = bytearray(good)
        bad[place] ^= 1 << int(bit)
        silent += not noticed(segment, bad)
    for length in range(0, len(good), 37):
        silent += not noticed(segment, good[:length])
    assert silent == 0


def noticed(segment: Path, content: bytes) -> bool:
    segment.write_bytes(content)
    try:
        read_entries(segment)
    except CorruptSegment:
        return True
    return False


def test_a_column_read_alone_is_verified_too(segment: Path) -> None:
    """Without the check of the whole file: every flip raises or changes nothing that is read."""
    good = segment.read_bytes()
    entry = read_entries(segment)[1]
    random = np.random.default_rng(12)
    raised = 0
    for place in random.integers(HEADER_BYTES, len(good), size=200).tolist():
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        segment.write_bytes(bad)
        try:
            columns = read_columns(segment, entry, POINTS[1], names=NAMES[1])
        except CorruptSegment:
            raised += 1
        else:
            assert equal(TrialTable(point=POINTS[1], columns=columns), BATCHES[1])
    assert raised > 25


def test_a_vanished_segment_is_told_apart(segment: Path) -> None:
    entry = read_entries(segment)[0]
    segment.unlink()
    with pytest.raises(FileNotFoundError):
        read_entries(segment)
    with pytest.raises(CorruptSegment, match="vanished"):
        read_columns(segment, entry, POINTS[0], names=["trial"])


def test_neighbours_are_joined_and_keep_what_they_told() -> None:
    one, two = POINTS
    batches = [a_batch(one, 4, 6, seconds=2), a_batch(two, 0, 1), a_batch(one, 0, 4, seconds=1), a_batch(one, 7, 8)]
    found = joined(batches)
    assert sorted((b.point.digest(), b.first, b.stop) for b in found) == sorted(
        [(one.digest(), 0, 6), (one.digest(), 7, 8), (two.digest(), 0, 1)]
    )
    whole = next(b for b in found if b.stop == 6)
    assert equal(TrialTable(point=one, columns={n: whole.columns[n] for n in NAMES[0]}), a_batch(one, 0, 6))
    assert whole.info == {"batches": [{"first": 0, "stop": 4, "seconds": 1}, {"first": 4, "stop": 6, "seconds": 2}]}


def test_at_most_so_many_batches_are_joined() -> None:
    batches = [a_quick_batch(POINTS[0], i, i + 1) for i in range(MAX_JOINED + 10)]
    assert [(b.first, b.stop) for b in joined(batches)] == [(0, MAX_JOINED), (MAX_JOINED, MAX_JOINED + 10)]
