"""One row a trial: the columns, their units, the status bits, and the batches that travel."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.design.point import Point

Column = npt.NDArray[Any]


class Status(IntFlag):
    """Facts about a row; 0 means nothing to tell."""

    BELOW_NOISE = 1
    NOT_CERTIFIED = 2


STATUS_SENTENCES: Mapping[Status, str] = {
    Status.BELOW_NOISE: "the attained gap lies below its own rounding error bound, so gap_lower is 0",
    Status.NOT_CERTIFIED: "no certificate was asked for this trial, so gap_upper is inf and the norms are NaN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpec:
    """Name, type, axes and meaning of a column; all values are dimensionless."""

    name: str
    dtype: str
    axis: str | None
    long_name: str


COLUMNS: tuple[ColumnSpec, ...] = (
    ColumnSpec(name="trial", dtype="<i8", axis=None, long_name="index of the trial"),
    ColumnSpec(
        name="gap_lower", dtype="<f8", axis=None, long_name="attained lower value of the gap, noise floor subtracted"
    ),
    ColumnSpec(name="gap_upper", dtype="<f8", axis=None, long_name="certified upper value of the gap"),
    ColumnSpec(name="output_norm", dtype="<f8", axis=None, long_name="attained lower value of sup ||F(x)||"),
    ColumnSpec(name="noise_floor", dtype="<f8", axis=None, long_name="rounding error bound of the attained gap"),
    ColumnSpec(name="status", dtype="<i8", axis=None, long_name="status bits"),
    ColumnSpec(name="n_pruned", dtype="<i8", axis="layer", long_name="number of pruned weights"),
    ColumnSpec(name="threshold", dtype="<f8", axis="layer", long_name="smallest kept magnitude, inf if none is kept"),
    ColumnSpec(name="target_norm", dtype="<f8", axis="layer", long_name="certified upper bound of ||W*||"),
    ColumnSpec(name="pruned_norm", dtype="<f8", axis="layer", long_name="certified upper bound of ||W||"),
    ColumnSpec(name="delta_norm", dtype="<f8", axis="layer", long_name="certified upper bound of ||W* - W||"),
)
WITNESS = ColumnSpec(name="witness", dtype="<f8", axis="input", long_name="input at which the lower value is attained")


def columns_of(point: Point) -> tuple[ColumnSpec, ...]:
    """Return the columns of a point's rows."""
    return (*COLUMNS, WITNESS) if point.keeps_witness else COLUMNS


def column_shape(column: ColumnSpec, point: Point, n_rows: int) -> tuple[int, ...]:
    """Return the shape of a column: ``[n_rows]``, ``[n_rows, depth]`` or ``[n_rows, d_0]``."""
    sizes = {"layer": point.network.depth, "input": point.network.widths[0]}
    return (n_rows,) if column.axis is None else (n_rows, sizes[column.axis])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialBatch:
    """Consecutive trials of one point: the columns of ``columns_of(point)``, one row a trial.

    ``info`` holds what must not be in rows: seconds taken, host. It never changes a number.
    """

    point: Point
    first: int
    stop: int
    columns: Mapping[str, Column]
    info: Mapping[str, Any]

    def __post_init__(self) -> None:
        n_rows = self.stop - self.first
        for spec in columns_of(self.point):
            column = self.columns[spec.name]
            shape = column_shape(spec, self.point, n_rows)
            if column.shape != shape or column.dtype != np.dtype(spec.dtype):
                raise ValueError(f"column {spec.name} must be {spec.dtype} {shape}, got {column.dtype} {column.shape}")

    def rows(self, first: int, stop: int) -> "TrialBatch":
        """Return the sub-batch of trials ``first .. stop - 1``."""
        part = slice(first - self.first, stop - self.first)
        columns = {name: column[part] for name, column in self.columns.items()}
        return TrialBatch(point=self.point, first=first, stop=stop, columns=columns, info=self.info)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrialTable(Mapping[str, Column]):
    """Stored rows of one point in trial order, all or consecutive ones; ``table["gap_lower"]`` is a NumPy column."""

    point: Point
    columns: Mapping[str, Column]

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def n_trials(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))


Ranges = tuple[tuple[int, int], ...]


def merge_ranges(ranges: Iterator[tuple[int, int]] | Ranges | list[tuple[int, int]]) -> Ranges:
    """Return the union of half-open ranges, sorted and disjoint.

    >>> merge_ranges([(4, 6), (0, 2), (2, 4)])
    ((0, 6),)
    """
    merged: list[tuple[int, int]] = []
    for first, stop in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((first, stop))
    return tuple(merged)


def missing_ranges(done: Ranges, total: int) -> Ranges:
    """Return what of ``0 .. total - 1`` is in no range of ``done``.

    >>> missing_ranges(((2, 4),), 6)
    ((0, 2), (4, 6))
    """
    missing, at = [], 0
    for first, stop in merge_ranges(done):
        if first > at:
            missing.append((at, min(first, total)))
        at = max(at, stop)
    if at < total:
        missing.append((at, total))
    return tuple((first, stop) for first, stop in missing if first < stop)
