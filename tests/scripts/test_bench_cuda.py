import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

ROOT = Path(__file__).resolve().parents[2]


def bench_cuda():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        spec = importlib.util.spec_from_file_location("bench_cuda", ROOT / "scripts" / "bench_cuda.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return module


def test_the_expected_figures_are_those_of_the_stated_costs():
    module = bench_cuda()
    text = (ROOT / "data" / "reference" / "gpu.md").read_text()
    assert "Measured: NVIDIA H200" in text
    for line in module.expected():
        assert line in text, line


def test_without_a_gpu_the_reason_is_told(capsys, monkeypatch):
    module = bench_cuda()
    monkeypatch.setattr(module, "missing", lambda: "no GPU is here")
    module.cuda()
    printed = capsys.readouterr().out
    assert "not measured: no GPU is here" in printed
    assert "pair_product32" in printed
