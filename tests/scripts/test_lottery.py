"""Train, prune, retrain at a tiny scale; skipped without PyTorch."""

import csv
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "data" / "reference"


@pytest.fixture(scope="module")
def lottery():
    pytest.importorskip("torch")
    sys.path.insert(0, str(ROOT / "scripts"))
    yield importlib.import_module("lottery")
    sys.path.remove(str(ROOT / "scripts"))


def tiny(lottery):
    method = lottery.GapMethod(restarts=2, steps=5)
    return lottery.Plan(seeds=(1,), fractions=(0.5,), epochs=2, retraining=1, method=method)


@pytest.mark.slow
def test_a_tiny_study(lottery, tmp_path):
    pytest.importorskip("matplotlib")
    plan = tiny(lottery)
    rows = list(lottery.studied(plan, 1))
    assert [(row.rule, row.stage) for row in rows] == [(rule.name, s) for rule in lottery.RULES for s in lottery.STAGES]
    for row in rows:
        assert 0.0 < row.test_gap <= row.gap_upper
        assert 0.0 < row.gap_lower <= row.gap_upper
    lottery.write(rows, plan, tmp_path)
    stored = json.loads((tmp_path / "lottery.json").read_text())
    assert len(stored["rows"]) == len(list(csv.DictReader((tmp_path / "lottery.csv").open()))) == 6
    importlib.import_module("lottery_figure").draw(lottery.means(rows), tmp_path / "lottery.svg")
    assert "<svg" in (tmp_path / "lottery.svg").read_text()
    assert "magnitude" in lottery.table(rows)


def test_pruned_weights_stay_zero(lottery):
    (training, _), model = lottery.images(1), lottery.fresh(1)
    masks = [lottery.torch.rand(layer.weight.shape) < 0.5 for layer in lottery.linear(model)]
    lottery.hold(model, masks)
    lottery.train(model, tuple(part[:64] for part in training), epochs=1, seed=1, masks=masks)
    for layer, mask in zip(lottery.linear(model), masks, strict=True):
        assert not layer.weight[~mask].any()
        assert layer.weight[mask].all()


def test_the_stored_result_is_a_bracket():
    rows = json.loads((STORED / "lottery.json").read_text())["rows"]
    assert len(rows) == 3 * 2 * 6 * 3
    for row in rows:
        assert row["test_gap"] <= row["gap_upper"]
        assert row["gap_lower"] <= row["gap_upper"]
    accuracy = {s: np.mean([r["accuracy"] for r in rows if r["stage"] == s]) for s in ("pruned", "retrained")}
    assert accuracy["retrained"] > accuracy["pruned"]
