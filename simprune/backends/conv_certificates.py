"""Certified upper bounds of the norms of convolutions in float64, rounding errors included; the smallest of three.

A strided convolution is one of stride 1 on the s_h s_w images of every s-th row and column (an isometry), with kernel
taps ceil(k / s): K[:, (c, r), a] = kernel[:, c, s a + r]. Groups are apart: the largest counts. For stride 1:

- symbol. Khat(w) = sum_ab K_ab exp(-i (a w1 + b w2)). With circular padding the norm is the largest ||Khat|| over the
  discrete frequencies (at most that, where the output is smaller than the input). With zero padding, of any amount, the map
  is a part of the infinite convolution: norm <= sup over the torus, and sup <= (largest on an M1 x M2 grid) /
  (cos(pi (kh - 1) / (2 M1)) cos(pi (kw - 1) / (2 M2))), because u^* Khat v times a phase is a real function of exponential
  type (k - 1) / 2 in each frequency, which cannot leave its maximum faster than a cosine (Duffin and Schaeffer).
- reshape. sqrt(m) ||K as a matrix|| where each input (or output) number enters at most m patches.
- Schur. sqrt(largest sum of |K| of an output x largest sum of an input).

Frequencies are proved one by one: a Cholesky factorisation shows ||Khat(w)|| <= u for the largest u so far, or u grows.
Complex matrices A + i B are real ones [[A, -B], [B, A]] of the same norm. Sums run in order, so that the bits are the same
on every machine.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.certificates import DELTA, EPSILON, TARGET
from simprune.backends.conv_plan import Geometry, LayerPlan
from simprune.backends.largest_norm import fill_symbols, largest_norm

GRID = 12
COSINE = 0.9914448613738103
"""cos(pi / (2 GRID)), rounded down."""
Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def conv_norms(plan: LayerPlan, weights: Array, entries: tuple[Array, Array, Array], kind: int) -> Doubles:
    """Return certified norms of a layer, ``[n_trials]``, by ``kind``: TARGET, KEPT or DELTA."""
    starts, columns, values = entries
    norms = np.empty(len(weights))
    for t, own in enumerate(weights):
        flat = np.zeros(own.shape) if kind == DELTA else own.astype(np.float64)
        if kind != TARGET:
            n = int(starts[t, -1])
            rows = np.repeat(np.arange(plan.rows), np.diff(starts[t]))
            flat[rows * plan.columns + columns[t, :n]] = values[t, :n] if kind == DELTA else 0.0
        groups = flat.reshape(plan.geometry.groups, -1)
        norms[t] = max(group_norm(plan.geometry, group) for group in groups)
    return norms


def group_norm(geometry: Geometry, flat: Doubles) -> float:
    """Return a certified norm of one group's kernel, given flat."""
    top = float(np.abs(flat).max())
    if top == 0.0:
        return 0.0
    top = 2.0 ** math.ceil(math.log2(top))
    h, w = geometry.source
    divides = h % geometry.stride[0] == 0 and w % geometry.stride[1] == 0
    stride = geometry.stride if divides or not geometry.circular else (1, 1)
    kernel = np.append(flat / top, 0.0)[_polyphase(geometry.kernel, stride)]
    kernel = kernel[np.any(kernel, axis=(1, 2, 3))]
    kernel = kernel[:, np.any(kernel, axis=(0, 2, 3))]
    taps = kernel.shape[2] * kernel.shape[3]
    copies = taps
    if not geometry.circular:
        copies = min(kernel.shape[2], geometry.output[0]) * min(kernel.shape[3], geometry.output[1])
    best = min(_schur(kernel), _reshaped(kernel, copies), _reshaped(kernel.swapaxes(0, 1), taps))
    if copies > 1:
        sizes = (h // stride[0], w // stride[1]) if geometry.circular else None
        best = min(best, _frequencies(kernel, sizes))
    return top * best


@lru_cache(maxsize=256)
def _polyphase(kernel: tuple[int, int, int, int], stride: tuple[int, int]) -> Ints:
    """Return where the weights of the equivalent convolution of stride 1 come from, -1 for a tap that is not there."""
    n_out, n_in, kh, kw = kernel
    (sh, sw), (th, tw) = stride, (-(-kh // stride[0]), -(-kw // stride[1]))
    index = np.full((n_out, n_in, sh, sw, th, tw), -1, dtype=np.int64)
    places = np.arange(n_out * n_in * kh * kw).reshape(kernel)
    for y in range(kh):
        for x in range(kw):
            index[:, :, y % sh, x % sw, y // sh, x // sw] = places[:, :, y, x]
    return index.reshape(n_out, n_in * sh * sw, th, tw)


def _schur(kernel: Doubles) -> float:
    size = np.abs(kernel)
    by_out, by_in = (np.cumsum(size.swapaxes(0, axis).reshape(size.shape[axis], -1), axis=1)[:, -1].max() for axis in (0, 1))
    return math.sqrt(float(by_out) * float(by_in)) * (1.0 + (kernel.size + 8.0) * EPSILON)


def _reshaped(kernel: Doubles, copies: int) -> float:
    rows = np.ascontiguousarray(kernel).reshape(1, len(kernel), -1)
    return float(largest_norm(rows)) * math.sqrt(copies) * (1.0 + 4.0 * EPSILON)


def _frequencies(kernel: Doubles, sizes: tuple[int, int] | None) -> float:
    """Bound ||Khat|| over the frequencies of an image of ``sizes``, or over the whole torus."""
    taps = kernel.shape[2:]
    grid = sizes or (GRID * (taps[0] - 1) or 1, GRID * (taps[1] - 1) or 1)
    phases = _phases(grid, (taps[0], taps[1]))
    n_out, n_in = kernel.shape[:2]
    symbols = np.empty((len(phases), 2 * n_out, 2 * n_in))
    fill_symbols(np.ascontiguousarray(kernel.reshape(n_out, n_in, -1).transpose(2, 0, 1)), phases, symbols)
    size = np.abs(kernel).reshape(n_out, n_in, -1)
    total = np.cumsum(size, axis=2)[:, :, -1].ravel() ** 2
    rounding = 2.0 * (size.shape[2] + 12.0) * EPSILON * math.sqrt(float(np.cumsum(total)[-1]))
    found = float(largest_norm(symbols)) + rounding
    if sizes is None:
        for axis in range(2):
            found = found / COSINE if taps[axis] > 1 else found
    return found * (1.0 + 8.0 * EPSILON)


@lru_cache(maxsize=64)
def _phases(grid: tuple[int, int], taps: tuple[int, int]) -> Doubles:
    """Return (cos, sin) of every frequency and tap, ``[n_frequencies, n_taps, 2]``; conjugate frequencies once."""
    (m1, m2), order = grid, grid[0] * grid[1]
    columns = range(m2 if m1 > 1 else m2 // 2 + 1)
    frequencies = [(u, v) for u in range(m1 // 2 + 1) for v in columns]
    places = [(y, x) for y in range(taps[0]) for x in range(taps[1])]
    roots = [_root(number, order) for number in range(order)]
    return np.array([[roots[(y * u * m2 + x * v * m1) % order] for y, x in places] for u, v in frequencies])


def _root(number: int, order: int) -> tuple[float, float]:
    """Return cos and sin of 2 pi number / order by IEEE operations alone, error below 1e-15."""
    quarter, rest = divmod(4 * number, order)
    turned = 2 * rest > order
    if turned:
        rest = order - rest
    angle = 1.5707963267948966 * (rest / order)
    square = angle * angle
    cosine, sine = 0.0, 0.0
    for k in range(10, 0, -1):
        cosine = (1.0 + cosine) * (-square / ((2 * k) * (2 * k - 1)))
        sine = (1.0 + sine) * (-square / ((2 * k) * (2 * k + 1)))
    cosine, sine = 1.0 + cosine, angle * (1.0 + sine)
    if turned:
        cosine, sine = sine, cosine
    for _ in range(quarter % 4):
        cosine, sine = -sine, cosine
    return cosine, sine
