"""Several results of one design put together into a new folder."""

import heapq
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget
from simprune.records import TrialBatch, columns_of
from simprune.store.coverage import runs
from simprune.store.differences import differences
from simprune.store.errors import CorruptSegment, DamagedResults
from simprune.store.files import storing, sync_directory
from simprune.store.folder import FolderStore
from simprune.store.provenance import continued
from simprune.store.record import read
from simprune.store.results import Results, open_results
from simprune.store.stops import Stop

SOURCES = "merged_from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What a merge put together: rows of the new folder, and how many of them more than one of the results held."""

    n_rows: int
    n_equal: int


def merge(sources: Sequence[Path], target: Path) -> Merged:
    """Put all rows of ``sources`` (folders or packed files of one design) into the new results folder ``target``.

    Trials of a point that several results hold must agree bit for bit. The folder is built under another name beside
    ``target`` and renamed at the end, so that ``target`` is whole or absent; a merge that was killed goes on there.

    Raises:
        InputError: other designs, other numbers, damaged results, or something is at ``target`` already.
        StoreError: results cannot be read or written.

    """
    if len({path.resolve() for path in sources}) < max(2, len(sources)):
        raise InputError(f"a merge must have at least two different results, got {len(sources)}; name each of them once")
    if target.exists():
        raise InputError(f"the merged results must be new, {target} exists; name another folder with -o")
    opened = {str(path): open_results(path) for path in sources}
    _require_one_study(opened)
    design = _design(opened)
    stops = _stops(opened)
    building = target.with_name(f".{target.name}.merging")
    _require_same_merge(building, list(opened))
    with FolderStore.open(building, design, provenance=_provenance(opened)) as store:
        if store.quarantined:
            raise DamagedResults(f"{building} must be whole to go on, got {store.quarantined[0]}; delete it and merge again")
        n_rows = n_equal = 0
        for point in design.points():
            held = [sum(stop - first for first, stop in results.completed(point)) for results in opened.values()]
            for batch in _union(_batches(opened, point)):
                store.append([batch])
                n_rows += batch.stop - batch.first
            n_equal += sum(held)
        store.flush()
        store.record_failures([failure for results in opened.values() for failure in results.failed])
        store.record_stops(stops)
    with storing(target):
        os.rename(building, target)
        sync_directory(target.parent)
    return Merged(n_rows=n_rows, n_equal=n_equal - n_rows)


def _require_one_study(opened: dict[str, Results]) -> None:
    (name, first), *others = opened.items()
    for path, results in opened.items():
        if results.problems:
            raise InputError(
                f"{path} must be whole to be merged, got {len(results.problems)} damaged parts; run its design again, or "
                f"see simprune verify {path}"
            )
    digests = {first.digest(point) for point in first.points}
    if digests != {point.digest() for point in first.points}:
        raise InputError(f"{name} must be of this version of simprune, got another; merge with the version that made it")
    for path, results in others:
        if {results.digest(point) for point in results.points} != digests:
            told = differences(first.points, results.points, there=f"in {name}", here=f"in {path}")
            raise InputError(f"{path} must be of the same design as {name}, different are {told}; take one design")
        backends = first.provenance.get("backend"), results.provenance.get("backend")
        if backends[0] != backends[1]:
            raise InputError(
                f"{path} must be of the same backend as {name}, got {backends[1]} and {backends[0]}, which agree to "
                "rounding only; compute both on one"
            )


def _design(opened: dict[str, Results]) -> Design:
    first = next(iter(opened.values()))
    networks = {}
    for point in first.points:
        target = point.network.target
        if isinstance(target, FixedTarget) and target.sha256 not in networks:
            trained = first.trained(point)
            assert trained is not None
            networks[target.sha256] = trained
    return Design(
        cells=first.points,
        trials=max(results.trials for results in opened.values()),
        name=first.name,
        epsilons=first.epsilons,
        delta=first.delta,
        networks=networks,
        text=first.text,
    )


def _provenance(opened: dict[str, Results]) -> dict[str, object]:
    plain = [{k: v for k, v in results.provenance.items() if k != "share"} for results in opened.values()]
    told = plain[0]
    for other in plain[1:]:
        told = continued(told, other)
    return {**told, SOURCES: list(opened)}


def _stops(opened: dict[str, Results]) -> list[Stop]:
    """Return why points of an adaptive run have enough; results of which one knows and another does not agree."""
    stops: dict[str, Stop] = {}
    for path, results in opened.items():
        for stop in results.stops:
            if stops.setdefault(stop.digest, stop) != stop:
                raise InputError(
                    f"{path} must have stopped point {stop.digest[:16]} as the other results did, got another number of "
                    "trials or reason; merge results of one [stopping] table"
                )
    return list(stops.values())


def _require_same_merge(building: Path, sources: list[str]) -> None:
    """Refuse to go on with a killed merge of other results; what was begun without a record is nothing yet."""
    if not building.exists():
        return
    found = read(building)
    if found is None:
        with storing(building):
            shutil.rmtree(building)
    elif found.provenance.get(SOURCES) != sources:
        raise InputError(f"{building} must be of a merge of the same results, it is of others; delete it and merge again")


def _batches(opened: dict[str, Results], point: Point) -> Iterator[tuple[str, TrialBatch]]:
    """Yield the rows of a point from all results, sorted by first trial, each with the path it comes from."""
    streams = (_stream(path, results, point) for path, results in opened.items())
    yield from heapq.merge(*streams, key=lambda pair: pair[1].first)


def _stream(path: str, results: Results, point: Point) -> Iterator[tuple[str, TrialBatch]]:
    try:
        for table in results.chunks(point, only=[spec.name for spec in columns_of(point)]):
            at = 0
            for first, stop in runs(table["trial"]):
                columns = {name: column[at : at + stop - first] for name, column in table.items()}
                info = {"seconds": 0.0, "merged_from": path}
                yield path, TrialBatch(point=point, first=first, stop=stop, columns=columns, info=info)
                at += stop - first
    except CorruptSegment as error:
        raise DamagedResults(f"{path} must be whole to be merged, got: {error}; run its design again") from error


def _union(batches: Iterator[tuple[str, TrialBatch]]) -> Iterator[TrialBatch]:
    """Yield every trial once; whatever comes again is compared bit for bit with what is still held of it."""
    held: list[tuple[str, TrialBatch]] = []
    at = 0
    for path, batch in batches:
        held = [(other, known) for other, known in held if known.stop > batch.first]
        for other, known in held:
            _require_equal(known, batch, where=f"{other} and {path}")
        held.append((path, batch))
        if batch.stop > at:
            yield batch.rows(max(at, batch.first), batch.stop)
            at = batch.stop


def _require_equal(a: TrialBatch, b: TrialBatch, *, where: str) -> None:
    first, stop = max(a.first, b.first), min(a.stop, b.stop)
    if first >= stop:
        return
    left, right = a.rows(first, stop), b.rows(first, stop)
    for name, column in left.columns.items():
        if column.tobytes() != right.columns[name].tobytes():
            trial = next(first + i for i in range(stop - first) if column[i].tobytes() != right.columns[name][i].tobytes())
            raise InputError(
                f"trials that several results hold must be equal bit for bit, but {where} differ in {name} of trial {trial} "
                f"of point {a.point.digest()[:16]}; find out which is right with simprune verify --recompute"
            )
