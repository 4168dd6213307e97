"""The semidefinite certificate (``semidefinite.py``) of a pair of explicit networks on a ball of inputs.

The chain is filled here with first-layer matrices times the radius and with the first layer's values at the center for
its biases. What is rounded in that (and in differences of weights) changes target and pruned network by at most what
``telescoped_gap`` says of such changes, which is added.
"""

import math

import numpy as np
import numpy.typing as npt

from simprune.backends import explicit_kernels as kernels
from simprune.backends.chain import CONSTANT
from simprune.backends.explicit_pair import ExplicitPair
from simprune.gap.base import LayerNorms
from simprune.gap.semidefinite import slope_bound

Doubles = npt.NDArray[np.float64]


def pair_bound(pair: ExplicitPair, radius: float, z: Doubles, dz: Doubles, norms: LayerNorms, *, steps: int) -> float:
    """Return a proved gap of the pair as computed: first layer radius W x + z, deviation radius S x + dz; inf if none."""
    weights, biases = pair.weights, pair.biases
    scales = [radius, *[1.0] * (pair.network.depth - 1)]
    matrices = [
        [part[i] * scale for part in (weights.target, weights.pruned, weights.moves)] for i, scale in enumerate(scales)
    ]
    shifts = [(z[:, 0], dz[:, 0]), *zip(biases.target[1:], biases.moves[1:], strict=True)]
    size = max(float(norms.delta.max()), *(float(np.linalg.norm(move)) for _, move in shifts))
    if not 0.0 < size < np.inf:
        return 0.0 if size == 0.0 else np.inf
    unit = math.ldexp(1.0, math.frexp(size)[1])
    biased = int(any(a.any() for shift in shifts for a in shift))
    widths = np.array(pair.network.widths, dtype=np.int64)
    sizes, spots, _, _ = kernels.chain_plan(widths, biased)
    chain = np.zeros(spots[-1])
    slope = slope_bound(pair.network)
    for layer, ((target, kept, move), (bias, bias_move)) in enumerate(zip(matrices, shifts, strict=True)):
        part = chain[spots[layer] : spots[layer + 1]].reshape(-1, sizes[layer])
        d_out, d_in = target.shape
        hidden = layer < len(matrices) - 1
        rows = part[d_out : 2 * d_out] if hidden else part
        rows[:, :d_in] = move / unit
        if layer:
            rows[:, d_in : 2 * d_in] = kept
        constant = d_in if layer == 0 else 2 * d_in
        if hidden:
            part[:d_out, :d_in] = target
        if biased:
            rows[:, constant] = bias_move / unit / CONSTANT
            if hidden:
                part[:d_out, constant] = bias / CONSTANT
        if hidden:
            part *= 0.5 * slope
            if biased:
                part[2 * d_out, constant] = 0.5
    return float(unit * kernels.chain_bound(widths, biased, chain, steps))
