"""The CUDA backend: micro-batches planned into the device's memory, the integers of the CPU, floats to rounding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simprune.backends.base import AbstractBackend, Trial, Trials
from simprune.backends.cuda_conv_ops import ConvCudaOps
from simprune.backends.cuda_device import AbstractDevice, DeviceMemoryError
from simprune.backends.cuda_missing import beyond_cuda
from simprune.backends.cuda_ops import CudaOps
from simprune.backends.cuda_plan import mask_words, node_sizes
from simprune.backends.cuda_selection import BINS
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.records import Column
from simprune.trained.network import TrainedNetwork

MAX_TRIALS = 4096
SPARE = 0.9
STACKS = 6
PANELS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaBackend(AbstractBackend):
    """Kernels on one device, a micro-batch at a time.

    Random words, keys, masks and counts are those of every backend. Floats agree with the ``cpu`` backend to rounding:
    uniform float32 weights are the same bits, others within 1e-6 (float32) or 1e-13 (float64) relative, because NVVM
    fuses a * b + c and the float32 scalars are other polynomials; a sum of n terms then differs by at most
    (n + 2) 2^-24 (or 2^-53) times the sum of the absolute terms. What is stored is evaluated in float64 with its bound
    of all rounding errors, and certificates are proved on the host from the device's own weights and masks.
    """

    name: ClassVar[str] = "cuda"
    device: AbstractDevice

    def open(self, point: Point, trials: Trials, trained: TrainedNetwork | None) -> CudaOps:
        """Sample the targets of a micro-batch."""
        operations = CudaOps if point.network.chain is None else ConvCudaOps
        return operations(self.device, point, trials, trained)

    def batch_size(self, point: Point) -> int:
        """Return how many trials of one point fit the device's free memory."""
        return self._fitting([point])

    def batch_of(self, block: Block) -> int:
        """Return how many trials of all the block's points fit the device's free memory."""
        for point in block.points:
            _check(point)
        return self._fitting(block.points)

    def _fitting(self, points: Sequence[Point]) -> int:
        needed = bytes_per_trial(points)
        free, total = self.device.memory()
        fitting = int(free * SPARE) // needed
        if fitting < 1:
            raise InputError(
                f"one trial of widths {list(points[0].network.widths)} with {len(points)} points must fit the device's free "
                f"memory, got {needed} bytes needed and {free} of {total} free; take fewer rules, restarts or samples, "
                "smaller widths, or --backend cpu"
            )
        return min(fitting, MAX_TRIALS)

    def _micro(self, block: Block, trials: Trials) -> list[dict[str, Column]]:
        """Compute a micro-batch, in halves where the device turns out to have less room than it said."""
        try:
            return super(CudaBackend, self)._micro(block, trials)
        except DeviceMemoryError:
            if len(trials) == 1:
                needed, (free, total) = bytes_per_trial(block.points), self.device.memory()
                raise InputError(
                    f"one trial must fit the device, got {needed} bytes needed and {free} of {total} free now; end other "
                    "programs on the device, or take --backend cpu"
                ) from None
        half = len(trials) // 2
        parts = [self._micro(block, part) for part in (trials[:half], trials[half:])]
        return [
            {name: np.concatenate([parts[0][i][name], parts[1][i][name]]) for name in parts[0][i]}
            for i in range(len(block.points))
        ]

    def rebuild(self, point: Point, trial: int, trained: TrainedNetwork | None) -> Trial:
        """Return weights and masks of one trial."""
        _check(point)
        ops = self.open(point, np.array([trial], dtype=np.int64), trained)
        masks = tuple(mask[0] for mask in ops.masks(ops.prune([point.rule])[0]))
        flat = self.device.download(ops.weights)[0]
        cuts = np.cumsum(point.network.n_weights)[:-1]
        shapes = point.network.weight_shapes
        target = tuple(part.reshape(s).copy() for part, s in zip(np.split(flat, cuts), shapes, strict=True))
        masks = tuple(mask.reshape(s) for mask, s in zip(masks, shapes, strict=True))
        biases = trained.biases if trained is not None else tuple(np.zeros(s) for s in point.network.bias_shapes)
        return Trial(
            target=target,
            pruned=tuple(np.where(m, w, w.dtype.type(0)) for w, m in zip(target, masks, strict=True)),
            masks=masks,
            biases=tuple(b.astype(point.precision) for b in biases),
        )


def _check(point: Point) -> None:
    if reason := beyond_cuda(point):
        raise InputError(f"{reason}, got a design with others; take --backend cpu")


def bytes_per_trial(points: Sequence[Point]) -> int:
    """Return the device memory that a trial takes while all points on its network are evaluated.

    Weights and keys, those of random rules, two masks a rule, the stacked columns of a pass there and back, the panels of
    an ascent, the float64 state of the evaluation and the histogram of the selection.
    """
    network, size = points[0].network, np.dtype(points[0].precision).itemsize
    n_weights, nodes = sum(network.n_weights), node_sizes(network)
    sets = 3 if any(point.rule.is_random for point in points) else 2
    words = sum(mask_words(d_in, d_out) + mask_words(d_out, d_in) for d_out, d_in in network.shapes)
    widest = max((estimator.columns for point in points for estimator in point.estimators), default=1)
    columns = math.ceil(max(widest, 1) / 8) * 8
    panels = columns * size * (STACKS * sum(nodes) + PANELS * network.widths[0])
    rows = 8 * 8 * max(nodes) + 4 * (BINS + n_weights // 8192 + 1)
    return sets * size * n_weights + 4 * words * len(points) + panels + rows + 64 * network.depth * len(points)
