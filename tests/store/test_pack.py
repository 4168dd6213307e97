"""The packed file: what it holds, who can open it, and what happens if it cannot be written."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from simprune.model.errors import InputError
from simprune.records import columns_of
from simprune.store import pack as pack_module
from simprune.store.child import Ended, run_module
from simprune.store.errors import StoreError
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.packing import main
from simprune.store.results import open_results
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point, a_quick_batch

ROOT = Path(__file__).parents[2]
NETWORK = a_network()
POINTS = (a_point(), a_point(alpha=0.25, witness=True), a_fixed_point(NETWORK))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "results"
    with FolderStore.open(path, a_design(*POINTS, networks=(NETWORK,)), provenance={"backend": "cpu"}) as store:
        for first in (10, 0):
            store.append([a_batch(point, first, first + 10) for point in POINTS])
            store.flush()
    return path


@pytest.fixture(scope="module")
def packed(folder: Path) -> Path:
    path = folder.with_name("packed.h5")
    pack(folder, path)
    return path


def test_the_root_tells_everything(packed: Path) -> None:
    with h5py.File(packed, "r") as file:
        attributes = dict(file.attrs)
    assert attributes["filetype"] == "simprune results"
    assert attributes["format_version"] == "1.0"
    assert attributes["backend"] == "cpu"
    assert attributes["seed"].tolist() == [1, 2]
    assert attributes["precision"] == "float32"
    assert attributes["design"] == "trials = 100\n"
    for key in ("simprune_version", "numpy_version", "rng_scheme", "created", "host", "fingerprint"):
        assert attributes[key]
    assert json.loads(attributes["run"])["trials"] == 100


def test_every_dataset_is_labelled_scaled_and_checksummed(packed: Path) -> None:
    axes = {None: (), "layer": ("layer",), "input": ("input",)}
    with h5py.File(packed, "r") as file:
        for point in POINTS:
            group = file[f"points/{point.digest()[:16]}"]
            for spec in columns_of(point):
                dataset = group[spec.name]
                assert dataset.attrs["units"] == "1"
                assert dataset.attrs["long_name"] == spec.long_name
                assert dataset.fletcher32
                if spec.name != "trial":
                    assert tuple(d[0].name.rpartition("/")[2] for d in dataset.dims) == ("trial", *axes[spec.axis])
        trial = file[f"points/{POINTS[0].digest()[:16]}/trial"]
        assert (trial.compression, trial.compression_opts, trial.shuffle) == ("gzip", 1, True)


def test_xarray_opens_a_point_with_labelled_axes(packed: Path) -> None:
    for point in POINTS:
        group = f"points/{point.digest()[:16]}"
        with xarray.open_dataset(packed, group=group, engine="h5netcdf") as dataset:
            expected = a_batch(point, 0, 20)
            for spec in columns_of(point):
                dims = ("trial",) if spec.axis is None else ("trial", spec.axis)
                assert dataset[spec.name].dims == dims
                np.testing.assert_array_equal(dataset[spec.name].values, expected.columns[spec.name])
            assert dataset["layer"].values.tolist() == list(range(point.network.depth))
            assert dataset.sel(trial=7)["gap_lower"].item() == pytest.approx(expected.columns["gap_lower"][7], nan_ok=True)


def test_xarray_opens_a_network(packed: Path) -> None:
    with xarray.open_dataset(packed, group=f"networks/{NETWORK.sha256[:16]}", engine="h5netcdf") as dataset:
        assert dataset["W0"].dims == ("layer_1", "layer_0")
        np.testing.assert_array_equal(dataset["W0"].values, NETWORK.weights[0])


def test_an_existing_file_is_kept_unless_told(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"precious")
    with pytest.raises(InputError, match="exists"):
        pack(folder, out)
    assert out.read_bytes() == b"precious"
    pack(folder, out, overwrite=True)
    assert open_results(out).completed(POINTS[0]) == ((0, 20),)
    assert os.listdir(tmp_path) == ["out.h5"]
    with pytest.raises(InputError, match="exists"):
        pack(folder, tmp_path, overwrite=True)


@pytest.mark.parametrize("path", ["absent", "file"])
def test_only_a_results_folder_is_packed(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="must be given a results folder"):
        pack(tmp_path / path, tmp_path / "out.h5")
    with pytest.raises(InputError, match="must be a results folder"):
        pack(tmp_path, tmp_path / "out.h5")


def test_a_damaged_folder_is_not_packed(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "segments" / "seg-000000000001.h5").write_bytes(b"x")
    with pytest.raises(StoreError, match="must be undamaged"):
        pack(copy, tmp_path / "out.h5")
    assert os.listdir(tmp_path) == ["copy"]


def test_a_place_that_does_not_exist(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not be packed"):
        pack(folder, tmp_path / "nowhere" / "out.h5")


LIMITED = """
import resource, sys
from simprune.store import pack as pack_module
from simprune.store.child import Ended, run_module
from simprune.store.errors import StoreError
from simprune.store.pack import pack
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    pack(sys.argv[1], sys.argv[2], overwrite=True)
except StoreError as error:
    print(error)
    raise SystemExit(2)
"""


def test_a_file_that_cannot_grow_leaves_the_old_one(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_bytes(b"old")
    command = [sys.executable, "-c", LIMITED, str(folder), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "could not be packed" in done.stdout
    assert out.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.h5"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGSEGV, r"the HDF5 library crashed \(signal 11\), as it does on a full disk"),
        (signal.SIGKILL, r"its process was killed \(signal 9\), by somebody or because memory ran out"),
    ],
)
def test_a_writing_process_that_dies_is_one_sentence(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def dying(module: str, arguments: list[str]) -> Ended:
        Path(arguments[1]).write_bytes(b"half")
        return run_module("tests.store.dying", [str(int(number))])

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(pack_module, "run_module", dying)
    with pytest.raises(StoreError, match=f"could not be packed: {words}; mend that and pack again") as caught:
        pack(folder, tmp_path / "out.h5", trusted=True)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_writing_process_compares_what_it_wrote(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = h5py.Dataset.__setitem__

    def lose_a_bit(dataset: h5py.Dataset, where: object, rows: np.ndarray) -> None:
        if dataset.name.endswith("gap_upper"):
            rows = rows.copy()
            rows.view("u1")[5] ^= 1
        write(dataset, where, rows)

    monkeypatch.setattr(h5py.Dataset, "__setitem__", lose_a_bit)
    assert main([str(folder), str(tmp_path / "out.h5")]) == 1
    assert "gap_upper reads back other bytes" in capsys.readouterr().err


@pytest.mark.slow
def test_memory_of_packing_is_bounded(tmp_path: Path) -> None:
    point = a_point()
    used = []
    for i, n_segments in enumerate((4, 40)):
        folder = tmp_path / f"{i}"
        with FolderStore.open(folder, a_design(point), provenance={}) as store:
            for first in range(0, n_segments * 30_000, 30_000):
                store.append([a_quick_batch(point, first, first + 30_000)])
                store.flush()
        script = "import sys; from simprune.store.packing import main; code = main(sys.argv[1:]); "
        # Not ru_maxrss, which a process inherits from the one that started it.
        script += "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))); "
        script += "raise SystemExit(code)"
        command = [sys.executable, "-c", script, str(folder), str(tmp_path / f"{i}.h5")]
        used.append(int(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout))
    assert used[1] - used[0] < 40_000
