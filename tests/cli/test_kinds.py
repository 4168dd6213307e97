"""Every kind of run, read as a folder, as a folder under a writer, and packed: the same tables, and verified bit for bit."""

import json
import re
import shutil
from pathlib import Path

import pytest

import simprune
from simprune.records import TrialBatch
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from tests.cli.calls import FAST, STUDY, call

ROOT = Path(__file__).resolve().parents[2]
STOPPING = """
[analysis]
epsilon = 0.5
[stopping]
quantity = "mean"
width = 0.5
first = 5
growth = 1.5
"""
TRAINED = """
[[networks]]
file = "digits_mlp.npz"
activation = "relu"
"""
WITNESSES = STUDY.replace("restarts = 2", "keep_witness = true\nrestarts = 2")
KINDS = {
    "plain": STUDY,
    "adaptive": STUDY.replace("trials = 6", "trials = 40") + STOPPING,
    "trained": STUDY.replace("trials = 6", "trials = 2") + TRAINED,
    "witnesses": WITNESSES,
}


@pytest.fixture(params=KINDS)
def study(request, tmp_path):
    shutil.copy(ROOT / "data" / "networks" / "digits_mlp.npz", tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(KINDS[request.param])
    result = call("run", path, "-o", tmp_path / "results", *FAST)
    assert result.exit_code == 0, result.output
    return path


@pytest.mark.slow
def test_every_kind_is_read_and_verified_alike(study, tmp_path):
    folder, packed = tmp_path / "results", tmp_path / "results.h5"
    assert call("pack", folder).exit_code == 0
    for path in (folder, packed):
        checked = call("verify", path, "--recompute", 4)
        assert checked.exit_code == 0, checked.output
        assert "computed 4 trials again on the reference backend: 0 differ" in checked.stdout
    tables = json.loads(call("analyze", packed, "--json").stdout)
    with FolderStore.open(folder, simprune.load_design(study), provenance={"backend": "reference"}):
        assert json.loads(call("analyze", folder, "--json").stdout) == tables
        watched = call("info", "--watch", folder)
    assert watched.exit_code == 0
    rows = sum(point["trials"] for point in tables["points"])
    assert re.search(rf"{rows} of \d+ rows", watched.stdout)


@pytest.mark.slow
def test_shares_are_watched_to_their_end_and_merged_results_are_read_like_others(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    assert call("run", path, "-o", tmp_path / "whole", *FAST).exit_code == 0
    shares = [tmp_path / "first", tmp_path / "second"]
    for i, folder in enumerate(shares, start=1):
        assert call("run", path, "-o", folder, "--share", f"{i}/2", *FAST).exit_code == 0
        watched = call("info", "--watch", folder)
        assert watched.exit_code == 0
        assert "24 of 48 rows" in watched.stdout
    merged = call("merge", *shares, "-o", tmp_path / "merged")
    assert merged.exit_code == 0, merged.output
    assert call("pack", tmp_path / "merged").exit_code == 0
    tables = json.loads(call("analyze", tmp_path / "whole", "--json").stdout)
    for results in (tmp_path / "merged", tmp_path / "merged.h5"):
        assert json.loads(call("analyze", results, "--json").stdout) == tables
        checked = call("verify", results, "--recompute", 6)
        assert "computed 6 trials again on the reference backend: 0 differ" in checked.stdout
        assert checked.exit_code == 0


@pytest.mark.slow
def test_a_changed_row_with_right_checksums_is_found_by_computing_it_again(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    assert call("run", path, "-o", tmp_path / "results", *FAST).exit_code == 0
    design = simprune.load_design(path)
    results = simprune.open_results(tmp_path / "results", trusted=True)
    with FolderStore.open(tmp_path / "forged", design, provenance=results.provenance) as store:
        for point in design.points():
            columns = {name: column.copy() for name, column in results.table(point).items()}
            columns["gap_lower"].view("u1")[0] ^= 1
            store.append([TrialBatch(point=point, first=0, stop=6, columns=columns, info={})])
    pack(tmp_path / "forged", tmp_path / "forged.h5", trusted=True)
    for path in (tmp_path / "forged", tmp_path / "forged.h5"):
        assert call("verify", path).exit_code == 0
        found = call("verify", path, "--recompute", 100)
        assert found.exit_code == 2
        assert "computed 48 trials again on the reference backend: 8 differ" in found.stdout
