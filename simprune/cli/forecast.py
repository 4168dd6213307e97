"""What a dry run tells: sizes, memory, and a rough time from a stated model."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simprune.cli.progress_text import duration
from simprune.design.block import Block
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.engine.pace import MAX_RESULT_BYTES, row_bytes
from simprune.engine.todo import missing_blocks
from simprune.gap.ascent import Ascent
from simprune.gap.base import AbstractGapEstimator
from simprune.gap.sampled import Sampled
from simprune.gap.semidefinite import Semidefinite, elimination_flops, search_rounds
from simprune.gap.spectral import Spectral
from simprune.model.errors import InputError
from simprune.records import Ranges
from simprune.schedulers.place import Place
from simprune.store.results import open_results

# Rates of one core of a processor of about 2020; they are good to a factor of three or so.
FLOPS: Mapping[str, float] = {"cpu": 2e10, "reference": 1.5e9}
WEIGHTS_PER_SECOND: Mapping[str, float] = {"cpu": 1e8, "reference": 5e6}
POINT_SECONDS: Mapping[str, float] = {"cpu": 1e-4, "reference": 2e-3}
START_SECONDS = 3.0
WORKER_BYTES = 200e6
CHEAPER = '; "first = N" certifies N trials of every point only'


def forecast(design: Design, folder: Path, *, backend: str, place: Place) -> str:
    """Return the text of a dry run."""
    stored = _stored(design, folder)
    todo = [block for blocks in missing_blocks(design, lambda point: stored[point]).values() for block in blocks]
    rows = sum(block.n_trials * len(block.points) for block in todo)
    first, stop = design.wanted
    total = (stop - first) * len(design.points())
    workers = place.n_parallel
    proofs = sum(_proof_flops(block) for block in todo) / FLOPS[backend] / workers
    seconds = sum(block.n_trials * trial_seconds(block.points, backend=backend) for block in todo) / workers + proofs
    disk = sum(block.n_trials * row_bytes(block.points) for block in todo)
    memory = WORKER_BYTES + max((_block_bytes(block) for block in todo), default=0.0)
    processors = len(os.sched_getaffinity(0))
    here = place.scheduler in ("local", "serial")
    oversubscribed = f" (this machine has {processors} processors)" if here and workers > processors else ""
    share = f" (share {design.share} of {design.trials})" if design.share else ""
    lines = [
        f'design "{design.name}": {len(design.points())} points on {len(_networks(design.points()))} networks, '
        f"{'at most ' if design.stopping else ''}{stop - first} trials each{share}, {total} rows",
        f"results: {folder}, {total - rows} rows stored, {rows} to compute ({disk / 1e6:.1f} MB on disk)",
        f"workers: {workers} on the {backend} backend{oversubscribed}, about {memory / 1e6:.0f} MB of memory each",
        f"time: about {duration(START_SECONDS + seconds)} (rough model, may be off by a factor of three; "
        "without the compilation of kernels; a run forecasts from measurements)"
        if rows
        else "time: nothing to do, all rows are stored",
        *([f"price of the semidefinite certificate: {100 * proofs / seconds:.0f} % of it{CHEAPER}"] if proofs else []),
        "dry run: nothing was computed or written",
    ]
    return "\n".join(lines)


def trial_seconds(points: Sequence[Point], *, backend: str) -> float:
    """Return the modelled seconds of one trial of points that share their network, without semidefinite certificates."""
    network = points[0].network
    n_weights = sum(network.n_weights)
    flops = sum(_flops(estimator, point) for point in points for estimator in point.estimators)
    weights = (1 + len(points)) * n_weights
    return flops / FLOPS[backend] + weights / WEIGHTS_PER_SECOND[backend] + len(points) * POINT_SECONDS[backend]


def _flops(estimator: AbstractGapEstimator, point: Point) -> float:
    products = sum(math.prod(stage.weight_shape) * stage.positions for stage in point.network.weighted)
    if isinstance(estimator, Ascent):
        return 8.0 * products * estimator.restarts * (estimator.steps + 1)
    if isinstance(estimator, Sampled):
        return 4.0 * products * estimator.samples
    if isinstance(estimator, Spectral):
        return sum(2.0 * d_out * d_in * min(d_out, d_in) for d_out, d_in in point.network.shapes)
    return 0.0


def _proof_flops(block: Block) -> float:
    flops = 0.0
    for point in block.points:
        for estimator in point.estimators:
            if isinstance(estimator, Semidefinite):
                last = block.stop if estimator.first is None else min(block.stop, estimator.first)
                rounds = search_rounds(point.network.depth, estimator.steps) if point.network.chain is None else 0
                flops += max(0, last - block.first) * rounds * elimination_flops(point.network.widths)
    return flops


def _block_bytes(block: Block) -> float:
    point = block.points[0]
    weights = sum(point.network.n_weights) * np.dtype(point.precision).itemsize
    return 8.0 * weights + min(MAX_RESULT_BYTES, block.n_trials * row_bytes(block.points))


def _networks(points: Sequence[Point]) -> set[tuple[int, int]]:
    return {point.key for point in points}


def _stored(design: Design, folder: Path) -> Mapping[Point, Ranges]:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return dict.fromkeys(design.points(), ())
    results = open_results(folder, trusted=True)
    if {point.digest() for point in design.points()} != {results.digest(point) for point in results.points}:
        raise InputError(f"results folder {folder} must hold the same design, it was made by another; choose another folder")
    return {point: results.completed(point) for point in design.points()}
