"""The printed format against real files: every attribute, dataset and axis, none more."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from simprune.records import columns_of
from simprune.store import schema
from simprune.store.folder import FolderStore
from simprune.store.pack import pack
from simprune.store.segment import HEADER_BYTES
from tests.store.factories import a_batch, a_design, a_fixed_point, a_network, a_point

NETWORK = a_network()
POINTS = (a_point(witness=True), a_fixed_point(NETWORK))
DIMENSIONS = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema")
    with FolderStore.open(path / "results", a_design(*POINTS, networks=(NETWORK,)), provenance={"backend": "cpu"}) as store:
        store.append([a_batch(point, 0, 5) for point in POINTS])
    pack(path / "results", path / "packed.h5", trusted=True)
    return path


def listed(specs: tuple[schema.Attribute, ...]) -> dict[str, str]:
    """Names and types that the printed text shows."""
    text = schema.schema_text()
    for spec in specs:
        assert re.search(rf"^    {spec.name} +{re.escape(spec.kind)} +{re.escape(spec.meaning)}$", text, re.M)
    return {spec.name: spec.kind for spec in specs}


def kind_of(value: object) -> str:
    if isinstance(value, str):
        return "text"
    array = np.asarray(value)
    return f"{array.dtype.name}{' [n]' if array.ndim else ''}"


def assert_attributes(item: h5py.Dataset | h5py.Group, specs: tuple[schema.Attribute, ...], *, others: set[str]) -> None:
    found = {name: kind_of(value) for name, value in item.attrs.items() if name not in DIMENSIONS | others}
    assert found == {name: kind.replace("JSON", "text") for name, kind in listed(specs).items()}


def test_a_packed_file_holds_what_the_format_says(stored: Path) -> None:
    with h5py.File(stored / "packed.h5") as file:
        provenance = {name for name in file.attrs if name not in listed(schema.ROOT)}
        assert {"backend", "simprune_version", "created"} <= provenance
        assert_attributes(file, schema.ROOT, others=provenance)
        assert set(file) == {"points", "networks"}
        for point in POINTS:
            group = file[f"points/{point.digest()[:16]}"]
            assert_attributes(group, schema.POINT, others=set())
            specs = columns_of(point)
            scales = {spec.axis for spec in specs} - {None}
            assert set(group) == {spec.name for spec in specs} | scales
            for spec in specs:
                more = schema.STATUS if spec.name == "status" else ()
                assert_attributes(group[spec.name], (*schema.COLUMN, *more), others=set())
                axes = ["trial", *([spec.axis] if spec.axis else [])]
                line = rf"^  {spec.name} +{group[spec.name].dtype.name} +\[{', '.join(axes)}\] +{re.escape(spec.long_name)}"
                assert re.search(line, schema.schema_text(), re.M)
        network = file[f"networks/{NETWORK.sha256[:16]}"]
        assert_attributes(network, schema.NETWORK, others=set())
        assert {"W0", "b0", "W1", "b1"} < set(network)


def test_a_segment_holds_what_the_format_says(stored: Path) -> None:
    path = stored / "results" / "segments" / "seg-000000000000.h5"
    assert re.match(rb"simprune segment 1 crc32=[0-9a-f]{8} length=\d{12}\n", path.read_bytes()[:HEADER_BYTES])
    with h5py.File(path) as file:
        assert sorted(file) == ["part-000000", "part-000001"]
        for part in file.values():
            assert_attributes(part, schema.PART, others=set())


def test_only_listed_attributes_are_written() -> None:
    with pytest.raises(ValueError, match="not those of the format"):
        schema.write_attributes(None, schema.POINT, {"digest": "x"})


def test_every_file_of_a_results_folder_is_named(stored: Path) -> None:
    for path in (stored / "results").iterdir():
        assert path.name in schema.schema_text()
