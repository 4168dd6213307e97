"""The gap of linear networks with convolutions: the largest singular value of f - F, written out as a matrix.

P of the targets and dP of the difference start as the unit matrix and 0, taken as images of as many columns as there are
inputs, and are carried through the layers in float64: dP' = W dP - Delta (P + dP), P' = W P. The rounding error of dP is
below g e, where e is the same recursion with Frobenius norms of the layers' maps and g bounds all relative errors.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.certificates import EPSILON
from simprune.backends.conv_passes import add_correlation_all, correlate_all
from simprune.backends.conv_plan import LayerPlan
from simprune.backends.conv_pooling import pool
from simprune.backends.conv_sampling import PrunedLayer
from simprune.backends.conv_walk import Step, steps_of
from simprune.backends.largest_norm import largest_norm
from simprune.model.network import NetworkSpec

MOST_NUMBERS = 1 << 22
MOST_ROWS = 1024
Doubles = npt.NDArray[np.float64]
Pair = tuple[Doubles, Doubles]


def is_written_out(network: NetworkSpec) -> bool:
    """Whether the matrices are small enough: P at every layer at most 2^22 numbers, dP with at most 1024 rows or columns."""
    n_inputs = network.widths[0]
    sizes = [math.prod(stage.output) for stage in network.stages]
    return _columns(n_inputs) * max(n_inputs, *sizes) <= MOST_NUMBERS and min(n_inputs, sizes[-1]) <= MOST_ROWS


def linear_gaps(network: NetworkSpec, weights: Sequence[npt.NDArray[Any]], pruned: Sequence[PrunedLayer]) -> Doubles:
    """Return certified upper bounds of ||f - F||, ``[n_trials]``; ``weights`` ``[n_trials, D_l]`` by layer, no biases."""
    steps = steps_of(network)
    gaps = np.empty(len(weights[0]))
    for t in range(len(gaps)):
        gaps[t] = _linear_gap(steps, network.widths[0], [w[t : t + 1] for w in weights], pruned, t)
    return gaps


def _linear_gap(
    steps: Sequence[Step], n_inputs: int, weights: Sequence[npt.NDArray[Any]], pruned: Sequence[PrunedLayer], trial: int
) -> float:
    product = np.eye(n_inputs, _columns(n_inputs))[None]
    moved = np.zeros_like(product)
    error, size, relative = 0.0, 1.0, 0.0
    for step in steps:
        before, product = product, np.empty((1, step.n_out, product.shape[2]))
        deviation, moved = moved, np.empty_like(product)
        if step.plan is None:
            pool(step.window, before, product)
            pool(step.window, deviation, moved)
            terms = step.window[3] * step.window[4]
            norm, delta = math.sqrt(step.n_out / terms), 0.0
        else:
            own = [part[trial : trial + 1] for part in pruned[step.number].entries]
            entries = (own[0], own[1], own[2].astype(np.float64))
            matrix = weights[step.number].astype(np.float64)
            _carry(step.plan, matrix, entries, (before, deviation), (product, moved))
            terms, copies = step.plan.columns, math.sqrt(step.plan.positions)
            n_pruned = int(own[0][0, -1])
            norm, delta = copies * _length(matrix[0]), copies * _length(entries[2][0, :n_pruned])
        error, size = norm * error + delta * (size + error), norm * size
        relative += 4.0 * (terms + 8.0) * EPSILON
    found = float(largest_norm(np.ascontiguousarray(moved[:, :, :n_inputs])))
    return found + relative * error * (1.0 + 1e-6)


def _carry(plan: LayerPlan, matrix: Doubles, entries: Any, before: Pair, after: Pair) -> None:
    """Write W P and W dP - Delta (P + dP), given (P, dP)."""
    for image, out in zip(before, after, strict=True):
        correlate_all(plan.forward.packed, matrix, image, out)
    add_correlation_all(plan.forward.packed, entries, before[0] + before[1], after[1])


def _columns(n_inputs: int) -> int:
    """Return the number of columns of an image that holds the unit matrix: kernels take eight at a time."""
    return -(-n_inputs // 8) * 8


def _length(values: Doubles) -> float:
    return math.sqrt(math.fsum(values**2))
