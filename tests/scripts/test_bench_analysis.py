"""The benchmark of quantiles measures what it says, on few rows."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import simprune

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("bench_analysis", ROOT / "scripts" / "bench_analysis.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_ways_find_the_quantiles_of_the_law(script, tmp_path):
    path, n = tmp_path / "rows.h5", 20_000
    script.write_rows(path, n)
    results = simprune.open_results(path)
    assert results.completed(results.points[0]) == ((0, n),)
    ours, theirs, whole = (script.measured(code, path) for code in (script.STREAMED, script.PARTITION, script.SUMMARY))
    values = [float.fromhex(value) for value in ours[2]]
    table = np.sort(results.table(results.points[0])["gap_lower"])
    assert ours[2] == theirs[2]
    assert values == [table[int(np.ceil(n * level - 1e-9)) - 1] for level in script.LEVELS]
    assert script.distance_from_law(values, n) < 4.5
    assert whole[1] > 0
