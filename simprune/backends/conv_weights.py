"""Weights of one correlation of every trial, in the form that their products take: plain, spread or compressed rows.

Every form can ``write`` its product; a spread or compressed one can ``add`` it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.conv_passes import add_correlation_all, convolve_all, correlate_all, fill_dense, spread_all
from simprune.backends.conv_plan import Correlation, LayerPlan
from simprune.backends.winograd import LEAST_CHANNELS
from simprune.backends.winograd_tiles import OUTPUTS, TAPS

Array = npt.NDArray[Any]
Entries = tuple[Array, Array, Array]
DENSE_SHARE = 6
"""Pruned weights are multiplied as a dense matrix from one in six on, where that is done by Winograd's algorithm."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlainWeights:
    """Weights ``[n_trials, n_weights]`` in the order of a correlation."""

    correlation: Correlation
    weights: Array

    def write(self, x: Array, out: Array) -> None:
        """out = correlation of x."""
        correlate_all(self.correlation.packed, self.weights, x, out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpreadWeights:
    """Weights for Winograd's algorithm, ``[n_trials, 36, rows, channels of a group]``."""

    correlation: Correlation
    spread: Array

    def write(self, x: Array, out: Array) -> None:
        """out = correlation of x."""
        convolve_all(self.correlation.packed, self.spread, x, out, add=False)

    def add(self, x: Array, out: Array) -> None:
        """out += correlation of x."""
        convolve_all(self.correlation.packed, self.spread, x, out, add=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseWeights:
    """Compressed rows in the order of a correlation."""

    correlation: Correlation
    entries: Entries

    def write(self, x: Array, out: Array) -> None:
        """out = correlation of x."""
        out[:] = 0
        self.add(x, out)

    def add(self, x: Array, out: Array) -> None:
        """out += correlation of x."""
        add_correlation_all(self.correlation.packed, self.entries, x, out)


def suits_winograd(correlation: Correlation) -> bool:
    """Whether ``winograd`` computes a correlation, and faster: 3 x 3, stride 1, channels enough, outputs in whole tiles."""
    rows, channels, width, out_h, out_w = (int(correlation.sizes[i]) for i in (1, 2, 8, 9, 10))
    taps = [y * width + x for y in range(TAPS) for x in range(TAPS)]
    steps = correlation.phases[:, [3, 5, 9, 11]]
    has_taps = correlation.offsets.size == channels * len(taps) and correlation.offsets[: len(taps)].tolist() == taps
    computed = OUTPUTS**2 * -(-out_h // OUTPUTS) * -(-out_w // OUTPUTS)
    is_large = min(rows, channels) >= LEAST_CHANNELS and 2 * out_h * out_w >= computed
    return bool(len(steps) == 1 and (steps == 1).all() and has_taps and is_large)


def multiplies_densely(plan: LayerPlan, n_pruned: int) -> bool:
    """Whether a layer's pruned weights are multiplied as a dense matrix: many, and Winograd's algorithm suits."""
    many = DENSE_SHARE * n_pruned >= plan.rows * plan.columns
    return many and suits_winograd(plan.forward) and suits_winograd(plan.adjoint)


def dense_weights(correlation: Correlation, weights: Array) -> PlainWeights | SpreadWeights:
    """Return weights ``[n_trials, n_weights]`` in the faster form of a correlation."""
    if suits_winograd(correlation):
        return spread_weights(correlation, weights)
    return PlainWeights(correlation=correlation, weights=np.ascontiguousarray(weights))


def spread_weights(correlation: Correlation, weights: Array) -> SpreadWeights:
    """Return weights ``[n_trials, n_weights]`` spread."""
    spread = spread_all(correlation.packed, np.ascontiguousarray(weights))
    return SpreadWeights(correlation=correlation, spread=spread)


def written_out(entries: Entries, n_columns: int) -> Array:
    """Return compressed rows as dense weights, ``[n_trials, rows * n_columns]``."""
    starts, _, values = entries
    weights = np.zeros((len(starts), (starts.shape[1] - 1) * n_columns), values.dtype)
    fill_dense(entries, n_columns, weights)
    return weights
