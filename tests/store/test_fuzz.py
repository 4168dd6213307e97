"""Five hundred damaged results of every kind of file: refused in a sentence or read with the right bytes, never a crash."""

import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from simprune.rng import canonical_json
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.segment import HEADER_BYTES
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point
from tests.store.looks import Ended, assert_modest, committed, looked_at

NETWORK = a_network()
POINT, FIXED = a_point(), a_fixed_point(NETWORK)
PACKED, SEGMENTS, RECORDS, NETWORKS = 250, 110, 70, 70


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    design = a_design(POINT, FIXED, networks=(NETWORK,))
    with FolderStore.open(path / "results", design, provenance={}) as store:
        store.append([a_batch(POINT, 0, 20), a_batch(FIXED, 0, 20)])
    pack(path / "results", path / "packed.h5", trusted=True)
    return path


def mutated(image: bytes, random: np.random.Generator) -> bytes:
    """Flip bits, cut, overwrite with one value or another part of the file, or change a size near the start."""
    data = bytearray(image)
    kind = int(random.integers(6))
    if kind == 0:
        return bytes(data[: int(random.integers(len(data)))])
    if kind == 1:
        begin, length = int(random.integers(len(data))), int(random.integers(1, 64))
        data[begin : begin + length] = bytes([int(random.integers(256))]) * len(data[begin : begin + length])
    elif kind == 2:
        source, begin = (int(place) for place in random.integers(len(data) - 16, size=2))
        data[begin : begin + 16] = data[source : source + 16]
    else:
        # structure lies in the first kilobytes and between the chunks
        most = len(data) if kind < 5 else min(len(data), 4096)
        for place in random.integers(most, size=int(random.integers(1, 9))).tolist():
            data[place] ^= 1 << int(random.integers(8))
    return bytes(data)


def mutated_record(text: str, random: np.random.Generator) -> str:
    """Change a value of run.json to something odd and give the whole a right checksum."""
    plain = json.loads(text)
    del plain["crc32"]
    odd = [None, -1, 1 << 70, 1e308, "", "x" * 100_000, [], {}, [[]], {"name": "x"}, True, [1] * 10_000]
    at = plain
    while True:
        key = list(at)[int(random.integers(len(at)))] if isinstance(at, dict) else int(random.integers(len(at)))
        if isinstance(at[key], dict | list) and at[key] and random.random() < 0.7:
            at = at[key]
            continue
        at[key] = odd[int(random.integers(len(odd)))]
        break
    return json.dumps({**plain, "crc32": zlib.crc32(canonical_json(plain))})


def cases(good: Path, place: Path, random: np.random.Generator) -> list[Path]:
    """Write all damaged results and return their paths."""
    paths = []
    packed = (good / "packed.h5").read_bytes()
    for i in range(PACKED):
        paths.append(place / f"packed-{i}.h5")
        paths[-1].write_bytes(mutated(packed, random))
    for i in range(SEGMENTS + RECORDS + NETWORKS):
        paths.append(place / f"folder-{i}")
        shutil.copytree(good / "results", paths[-1])
        segment, record = paths[-1] / "segments" / "seg-000000000000.h5", paths[-1] / "run.json"
        if i < SEGMENTS:
            committed(segment, mutated(segment.read_bytes()[HEADER_BYTES:], random))
        elif i < SEGMENTS + RECORDS // 2:
            record.write_text(mutated_record(record.read_text(), random))
        elif i < SEGMENTS + RECORDS:
            record.write_bytes(mutated(record.read_bytes(), random))
        else:
            network = paths[-1] / "networks" / f"{NETWORK.sha256}.npz"
            network.write_bytes(mutated(network.read_bytes(), random))
    return paths


@pytest.mark.fault("X1")
@pytest.mark.slow
def test_fuzzed_results_are_refused_by_name_or_read_right(good: Path, tmp_path: Path) -> None:
    intact, folder = looked_at([good / "packed.h5", good / "results"])
    assert (intact.code, intact.reader, folder.code, folder.reader) == (0, 0, 0, 0)
    assert intact.rows == folder.rows != ""
    paths = cases(good, tmp_path, np.random.default_rng(20261125))
    assert len(paths) == 500
    ends = looked_at(paths)
    for ended in ends:
        assert_modest(ended)
        assert_told(ended, intact)
    accepted = sum(ended.code == 0 for ended in ends)
    died = sum(ended.code < 0 for ended in ends)
    print(f"{len(ends)} looks: {accepted} accepted, {len(ends) - accepted - died} refused, {died} died")
    assert accepted < 350


def assert_told(ended: Ended, intact: Ended) -> None:
    """Refused with its name, or dead by a limit or a crash of the library (told by the parent), or read right."""
    if ended.code < 0:
        return
    if ended.code > 0:
        assert ended.code in (2, 3), ended
        assert ended.path in ended.told, ended
        assert "\n" not in ended.told, ended
        return
    assert ended.reader in (0, 2), ended
    if ended.reader == 0 and "packed" in ended.path:
        assert ended.rows == intact.rows, ended
