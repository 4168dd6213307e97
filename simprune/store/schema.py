"""The format of stored results, as ``simprune schema`` prints it. Writers take the names of attributes from here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simprune.records import COLUMNS, STATUS_SENTENCES, WITNESS, ColumnSpec
from simprune.store.record import FILETYPE, FORMAT_VERSION

TYPES = {"<i8": "int64", "<f8": "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """Name, type and meaning of an HDF5 attribute."""

    name: str
    kind: str
    meaning: str


def _listed(*rows: tuple[str, str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(name=name, kind=kind, meaning=meaning) for name, kind, meaning in rows)


ROOT = _listed(
    ("filetype", "text", f"always '{FILETYPE}'"),
    ("format_version", "text", "MAJOR.MINOR; readers refuse a newer MAJOR"),
    ("fingerprint", "text", "SHA-256 of the set of points"),
    ("name", "text", "name of the design"),
    ("trials", "int64", "trials asked of every point"),
    ("epsilons", "float64 [n]", "gaps of the design's analysis"),
    ("delta", "float64", "tolerated probability of a gap above epsilon"),
    ("seed", "int64 [n]", "seeds of the points"),
    ("precision", "text", "of weights and passes: float32, float64"),
    ("design", "text", "the design as TOML, every default written out"),
    ("packed_by", "text", "version of simprune that wrote this file"),
    ("run", "JSON", "the text of run.json"),
    ("failed", "JSON", "the text of failed.json"),
    ("stops", "JSON", "the text of stops.json"),
)
POINT = _listed(
    ("digest", "text", "SHA-256 that identifies the point"),
    ("point", "JSON", "network, rule, estimators, seed, precision"),
)
COLUMN = _listed(
    ("units", "text", "always '1': all values are dimensionless"),
    ("long_name", "text", "meaning of the values"),
    ("crc32", "int64", "CRC-32 of all values, little endian, in row order"),
)
STATUS = _listed(
    ("flag_masks", "int64 [n]", "the bits"),
    ("flag_meanings", "text", "their names"),
)
NETWORK = _listed(
    ("sha256", "text", "SHA-256 of the weights, which is the network's name"),
    ("origin", "text", "the file it was read from"),
)
PART = _listed(
    ("point", "text", "digest of the point"),
    ("first", "int64", "first trial"),
    ("stop", "int64", "the trial after the last"),
    ("crc32", "JSON", "CRC-32 of the values of every column"),
    ("info", "JSON", "seconds taken and the like"),
)


def write_attributes(item: Any, specs: Sequence[Attribute], values: Mapping[str, Any]) -> None:
    """Set the attributes of a group or dataset, exactly those that the format lists."""
    if set(values) != {spec.name for spec in specs}:
        raise ValueError(f"attributes {sorted(values)} are not those of the format")
    for name, value in values.items():
        item.attrs[name] = value


def schema_text() -> str:
    """Return the whole format."""
    columns = "\n".join(_column(spec) for spec in (*COLUMNS, WITNESS))
    bits = "\n".join(f"    {int(bit):<4}{sentence}" for bit, sentence in STATUS_SENTENCES.items())
    return f"""{FILETYPE}, format {FORMAT_VERSION}

columns: one row a trial, units 1
{columns}
  bits of status
{bits}

packed file: one HDF5 file
  / attributes, and one for every line of the provenance that is a number or text
{_attributes(ROOT)}
  points/<first 16 digits of digest>: one dataset a column; scales trial, layer, input (int64); attributes
{_attributes(POINT)}
  points/.../<column>: rows in the order of trials; fletcher32, trial with gzip 1 and shuffle; attributes
{_attributes(COLUMN)}
    of status also
{_attributes(STATUS)}
  networks/<first 16 digits of sha256>: W0, b0, W1, b1, ... of a fixed target, every axis with a scale; attributes
{_attributes(NETWORK)}
    layers          text         of a network with other layers than dense ones: those layers

results folder: segments that never change, written by one process, read by any
  run.json               the run: points, design, provenance, crc32
  failed.json            trials that could not be computed, with reasons
  stops.json             why points of an adaptive run have enough trials
  networks/<sha256>.npz  weights and biases of fixed targets
  lock                   host and process of the writer
  segments/seg-<n>.h5    512 bytes "simprune segment 1 crc32=<of the rest, hex> length=<of the rest, decimal>",
                         then an HDF5 file (h5py opens it as it is) with groups part-<n> of columns; attributes
{_attributes(PART)}
  segments/bad-<n>.h5    damaged segments that were set aside
"""


def _column(spec: ColumnSpec) -> str:
    axes = ", ".join(("trial", *([spec.axis] if spec.axis else [])))
    only = " (only with keep_witness)" if spec is WITNESS else ""
    return f"  {spec.name:<13}{TYPES[spec.dtype]:<9}[{axes + ']':<15}{spec.long_name}{only}"


def _attributes(specs: Sequence[Attribute]) -> str:
    return "\n".join(f"    {spec.name:<16}{spec.kind:<13}{spec.meaning}" for spec in specs)
