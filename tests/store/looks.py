"""Looking at many results in forks of one process (tests.store.inspecting), and what must be true of every look."""

import json
import os
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from simprune.store.segment import HEADER_BYTES

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How looking at results ended: ``code`` 0 accepted, 2 and 3 refused, negative: a signal."""

    path: str
    code: int
    told: str
    seconds: float
    wall: float
    megabytes: float
    reader: int | None = None
    rows: str = ""


def looked_at(paths: list[Path]) -> list[Ended]:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.inspecting"],
        input="\n".join(map(str, paths)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=600,
    )
    return [Ended(**json.loads(line)) for line in done.stdout.splitlines()]


def assert_refused(ended: Ended, words: str) -> None:
    assert ended.code in (2, 3), ended
    assert words in ended.told
    assert "\n" not in ended.told
    assert_modest(ended)


def assert_modest(ended: Ended) -> None:
    assert ended.seconds < 1.0, ended
    assert ended.megabytes < 200, ended


def committed(path: Path, image: bytes) -> None:
    """Write a segment with a right checksum, as somebody who means harm would."""
    header = f"simprune segment 1 crc32={zlib.crc32(image):08x} length={len(image):012d}\n".encode()
    path.write_bytes(header.ljust(HEADER_BYTES, b"\0") + image)
