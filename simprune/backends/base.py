"""The backend protocol, and the loop over micro-batches that all backends share."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.base import Array, Bracket, LowerEstimate, Ops, UpperEstimate
from simprune.records import Column, Status, TrialBatch
from simprune.trained.network import TrainedNetwork

Trials = npt.NDArray[np.int64]


class Pruned(Protocol):
    """Pruned entries of a batch of trials, as the backend holds them."""

    @property
    def n_pruned(self) -> npt.NDArray[np.int64]:
        """Number of pruned weights, ``[n_trials, depth]``."""

    @property
    def threshold(self) -> npt.NDArray[np.float64]:
        """Smallest kept magnitude, inf if none is kept, ``[n_trials, depth]``."""


class BatchOps(Ops, Protocol):
    """The operations of a micro-batch, with pruning itself."""

    def prune(self, rules: Sequence[Any]) -> Sequence[Pruned]:
        """Prune the batch by every rule."""


def bias_norm_bounds(biases: Sequence[npt.NDArray[Any]], positions: Sequence[int]) -> tuple[float, ...]:
    """Return upper bounds of the norms of biases that stand at so many positions of an image (a dense layer: 1)."""
    lengths = [float(np.linalg.norm(bias.astype(np.float64))) for bias in biases]
    return tuple(length * float(np.sqrt(n)) * (1.0 + 1e-9) for length, n in zip(lengths, positions, strict=True))


class HostColumns:
    """Selections of inputs that are NumPy arrays, ``[n_trials, d_0, n_columns]``."""

    def choose(self, wanted: npt.NDArray[np.bool_], yes: Array, no: Array) -> Array:
        """Return the columns of ``yes`` where ``wanted``, of ``no`` elsewhere."""
        return np.where(wanted[:, None, :], yes, no)

    def take(self, x: Array, columns: npt.NDArray[np.int64]) -> Array:
        """Return one column a trial."""
        found: Array = x[np.arange(len(x)), :, columns]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial rebuilt from its address: weights ``[d_l, d_(l-1)]``, masks (True = kept) and biases, by layer."""

    target: tuple[npt.NDArray[Any], ...]
    pruned: tuple[npt.NDArray[Any], ...]
    masks: tuple[npt.NDArray[np.bool_], ...]
    biases: tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstractBackend(ABC):
    """Computes blocks of trials; the numbers of a trial depend on its address only."""

    name: ClassVar[str]
    threads: int = 1

    @abstractmethod
    def open(self, point: Point, trials: Trials, trained: TrainedNetwork | None) -> BatchOps:
        """Sample the targets of a micro-batch of trials."""

    @abstractmethod
    def batch_size(self, point: Point) -> int:
        """Return how many trials fit the processor's cache at once."""

    def batch_of(self, block: Block) -> int:
        """Return how many trials of a block are computed at once."""
        return self.batch_size(block.points[0])

    @abstractmethod
    def rebuild(self, point: Point, trial: int, trained: TrainedNetwork | None) -> Trial:
        """Return the weights and masks of one trial."""

    def run(self, block: Block) -> list[TrialBatch]:
        """Return one batch a point of the block."""
        started = time.perf_counter()
        size = self.batch_of(block)
        parts = list(_ranges(block.first, block.stop, size))
        if self.threads == 1:
            results = [self._micro(block, part) for part in parts]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                results = list(pool.map(lambda part: self._micro(block, part), parts))
        info = {"seconds": time.perf_counter() - started, "backend": self.name}
        return [
            TrialBatch(
                point=point,
                first=block.first,
                stop=block.stop,
                columns={name: np.concatenate([r[i][name] for r in results]) for name in results[0][i]},
                info=info,
            )
            for i, point in enumerate(block.points)
        ]

    def _micro(self, block: Block, trials: Trials) -> list[dict[str, Column]]:
        ops = self.open(block.points[0], trials, block.trained)
        shared: dict[Any, Any] = {}
        rows = []
        for point, pruned in zip(block.points, ops.prune([p.rule for p in block.points]), strict=True):
            estimates = []
            for estimator in point.estimators:
                if estimator not in shared:
                    shared[estimator] = estimator.prepare(ops)
                found = estimator.estimate(ops, pruned, trials, shared[estimator])
                estimates.extend([found.lower, found.upper] if isinstance(found, Bracket) else [found])
            rows.append(_columns(point, trials, pruned, estimates))
        return rows


def _ranges(first: int, stop: int, size: int) -> Iterator[Trials]:
    for at in range(first, stop, size):
        yield np.arange(at, min(at + size, stop), dtype=np.int64)


def _columns(point: Point, trials: Trials, pruned: Pruned, estimates: list[Any]) -> dict[str, Column]:
    lower = _best_lower([e for e in estimates if isinstance(e, LowerEstimate)])
    uppers = [e for e in estimates if isinstance(e, UpperEstimate)]
    nothing = np.full((len(trials), point.network.depth), np.nan)
    norms = uppers[0].norms if uppers else None
    gap_upper = np.min([e.gap for e in uppers], axis=0) if uppers else np.full(len(trials), np.inf)
    attained = lower.gap - lower.noise
    below = (attained <= 0.0) & (lower.noise > 0.0)
    status = np.where(below, int(Status.BELOW_NOISE), 0) | np.where(np.isinf(gap_upper), int(Status.NOT_CERTIFIED), 0)
    columns: dict[str, Column] = {
        "trial": trials,
        "gap_lower": np.maximum(attained, 0.0),
        "gap_upper": gap_upper,
        "output_norm": lower.output_norm,
        "noise_floor": lower.noise,
        "status": status.astype(np.int64),
        "n_pruned": pruned.n_pruned,
        "threshold": pruned.threshold,
        "target_norm": norms.target if norms else nothing,
        "pruned_norm": norms.pruned if norms else nothing,
        "delta_norm": norms.delta if norms else nothing,
    }
    if point.keeps_witness:
        columns["witness"] = lower.witness.astype(np.float64)
    return columns


def _best_lower(estimates: list[LowerEstimate]) -> LowerEstimate:
    best = estimates[0]
    for other in estimates[1:]:
        better = other.gap > best.gap
        best = LowerEstimate(
            gap=np.where(better, other.gap, best.gap),
            noise=np.where(better, other.noise, best.noise),
            output_norm=np.maximum(best.output_norm, other.output_norm),
            witness=np.where(better[:, None], other.witness, best.witness),
        )
    return best
