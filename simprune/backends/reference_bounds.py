"""Rigorous numbers: the gap at one input with its rounding error bound, and certified spectral norms.

Running error bounds
--------------------
Every computed vector v carries a componentwise bound err(v) of its distance to the exact one. EPS = 2^-52,
gamma(n) = (n + 4) EPS, K = Lipschitz constant of s, C = its bound of |s''|, all products componentwise, h_0 = x:

    err(h_0)   = gamma(d_0) |x|                    x was divided by max(1, ||x||); the exact point lies in the ball
    err(dh_0)  = 0
    err(z)     = |W| err(h) + gamma(d_in) (|W| |h| + |b|)
    err(h')    = err(h) + err(dh) + EPS |h'|       h' = h + dh
    err(dz)    = |W| err(dh) + |Delta| err(h') + gamma(d_in) (|W| |dh| + |Delta| |h'|)
    err(s(z))  = K err(z) + 8 EPS (|s(z)| + |s(0)|)
    err(dh)    = K err(dz) + bend + 16 EPS K |dz|

``bend`` bounds |(s(z + t) - s(z)) - (s(y + t) - s(y))| for |y - z| <= err(z) and t = dz:

    linear s         0
    smooth s         min(C err(z), K) |dz|
    kink at 0        K min(err(z), |dz|) where reach >= min(z, z + dz) and -reach <= max(z, z + dz), else 0;
                     reach = err(z) + EPS (|z| + |dz|)

gap = ||dz||_2 and noise = 1.001 (||err(dz)||_2 + gamma(d_L) gap) at the output. The factor covers the rounding of the
bounds themselves. Underflow is left out of account: nothing here is smaller than 1e-290 but exact zeros.

The dot products have at most d_in terms each, so gamma(d_in) covers any order of summation, with or without FMA:
Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., equation (3.5). K and C bound s' and s'', s' >= 0.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simprune.backends.reference_passes import difference, forward
from simprune.model.activations import AbstractActivation

Doubles = npt.NDArray[np.float64]

EPS = 2.0**-52
SLACK = 1.001
SVD_SLACK = 1.0 + 1e-10


def evaluate(
    activation: AbstractActivation,
    weights: Sequence[Doubles],
    biases: Sequence[Doubles],
    deltas: Sequence[Doubles],
    x: Doubles,
) -> tuple[Doubles, Doubles]:
    """Return the gap at one input a trial (``x`` is ``[n_trials, d_0]``) and its rounding error bound, ``[n_trials]``."""
    x = x / np.maximum(1.0, np.linalg.norm(x, axis=1, keepdims=True))
    passed = forward(activation, weights, biases, x[:, :, None])
    moved = difference(activation, weights, deltas, passed)
    err_h, err_dh = gamma(x.shape[1]) * np.abs(passed.hidden[0]), np.zeros_like(passed.hidden[0])
    for layer, (weight, bias, delta) in enumerate(zip(weights, biases, deltas, strict=True)):
        size, delta_size, g = np.abs(weight), np.abs(delta), gamma(weight.shape[2])
        h, dh, z, dz = passed.hidden[layer], moved.hidden[layer], passed.before[layer], moved.before[layer]
        both = np.abs(h + dh)
        err_z = size @ err_h + g * (size @ np.abs(h) + np.abs(bias)[:, None])
        err_both = err_h + err_dh + EPS * both
        err_dz = size @ err_dh + delta_size @ err_both + g * (size @ np.abs(dh) + delta_size @ both)
        if layer < len(weights) - 1:
            rounding = 8 * EPS * (np.abs(passed.hidden[layer + 1]) + abs(activation.value_at_zero))
            err_h = activation.lipschitz * err_z + rounding
            own = activation.lipschitz * (err_dz + 16 * EPS * np.abs(dz))
            err_dh = own + bend(activation, z, dz, err_z)
    gap = np.linalg.norm(dz[:, :, 0], axis=1)
    noise = SLACK * (np.linalg.norm(err_dz[:, :, 0], axis=1) + gamma(dz.shape[1]) * gap)
    return gap, noise


def gamma(n_terms: int) -> float:
    """Return a bound of the relative rounding error of a sum of products with ``n_terms`` terms."""
    return (n_terms + 4) * EPS


def bend(activation: AbstractActivation, z: Doubles, dz: Doubles, err_z: Doubles) -> Doubles:
    """Return how much an error of z may change s(z + dz) - s(z)."""
    if activation.is_linear:
        return np.zeros_like(z)
    lipschitz, curvature = activation.lipschitz, activation.curvature
    if np.isfinite(curvature):
        return np.minimum(curvature * err_z, lipschitz) * np.abs(dz)
    reach = err_z + EPS * (np.abs(z) + np.abs(dz))
    touches = (np.minimum(z, z + dz) <= reach) & (np.maximum(z, z + dz) >= -reach)
    return np.where(touches, lipschitz * np.minimum(err_z, np.abs(dz)), 0.0)


def norm_bounds(matrices: Sequence[Doubles]) -> Doubles:
    """Return upper bounds of the spectral norms of every trial's matrices, ``[n_trials, depth]``."""
    norms: Doubles = np.stack([np.linalg.svd(m, compute_uv=False)[:, 0] for m in matrices], axis=1)
    return norms * SVD_SLACK


def linear_gap(weights: Sequence[Doubles], deltas: Sequence[Doubles]) -> Doubles:
    """Return upper bounds of ||f - F|| for networks that are products of matrices P and P + dP, ``[n_trials]``.

    P, dP and a componentwise error bound are carried through the layers as in ``evaluate``, with the unit matrix for x;
    the bound is sigma_max(dP) + ||err(dP)||_F.
    """
    n_trials, _, d_in = weights[0].shape
    product = np.broadcast_to(np.eye(d_in), (n_trials, d_in, d_in))
    moved = err_product = err_moved = np.zeros_like(product)
    for weight, delta in zip(weights, deltas, strict=True):
        size, delta_size, g = np.abs(weight), np.abs(delta), gamma(weight.shape[2])
        both = product + moved
        err_both = err_product + err_moved + EPS * np.abs(both)
        rounding = g * (size @ np.abs(moved) + delta_size @ np.abs(both))
        err_moved = size @ err_moved + delta_size @ err_both + rounding
        err_product = size @ err_product + g * (size @ np.abs(product))
        moved = weight @ moved - delta @ both
        product = weight @ product
    largest = np.linalg.svd(moved, compute_uv=False)[:, 0]
    return np.asarray(largest * SVD_SLACK + SLACK * np.linalg.norm(err_moved, axis=(1, 2)), dtype=np.float64)


def vector_norm_bound(vector: Doubles) -> float:
    """Return an upper bound of a vector's length."""
    return float(np.linalg.norm(vector)) * (1.0 + gamma(len(vector)))
