"""The layers of a network as NumPy maps: weighted layers, their adjoints, and pooling with its differences.

Vectors are ``[n, n_columns]``, images ``[channels, height, width, n_columns]``, float64 and contiguous.
"""

import numpy as np
import numpy.typing as npt

from simprune.model.chain import Stage
from simprune.model.layers import AbstractMaximum, AbstractPool, Conv2d

Doubles = npt.NDArray[np.float64]


def n_terms(stage: Stage) -> int:
    """Return how many products or numbers one output of a layer sums at most."""
    if stage.layer.is_weighted:
        return stage.matrix_shape[1]
    if isinstance(stage.layer, AbstractPool):
        (kh, kw), _ = stage.layer.window(stage.input)
        return kh * kw
    return 1


def apply(stage: Stage, kernel: Doubles, x: Doubles) -> Doubles:
    """Return the outputs of a weighted layer without its bias."""
    layer = stage.layer
    if not isinstance(layer, Conv2d):
        return kernel @ x
    windows = _windows(_padded(layer, x), layer.kernel, layer.stride)
    width, parts = kernel.shape[1], []
    for group, own in enumerate(np.split(kernel, layer.groups)):
        seen = windows[group * width : (group + 1) * width]
        parts.append(np.tensordot(own, seen, axes=([1, 2, 3], [0, 4, 5])))
    return np.ascontiguousarray(np.concatenate(parts))


def adjoint(stage: Stage, kernel: Doubles, y: Doubles) -> Doubles:
    """Return the transposed map of ``apply``."""
    layer = stage.layer
    if not isinstance(layer, Conv2d):
        return kernel.T @ y
    (sh, sw), (ph, pw) = layer.stride, layer.padding
    c, h, w = stage.input
    _, rows, columns = stage.output
    out = np.zeros((c, h + 2 * ph, w + 2 * pw, y.shape[3]))
    width = kernel.shape[1]
    for group, (own, seen) in enumerate(zip(np.split(kernel, layer.groups), np.split(y, layer.groups), strict=True)):
        part = out[group * width : (group + 1) * width]
        for i, j in np.ndindex(*layer.kernel):
            spread = np.tensordot(own[:, :, i, j], seen, axes=([0], [0]))
            part[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw] += spread
    inside = out[:, ph : ph + h, pw : pw + w]
    return np.ascontiguousarray(_folded(_folded(out, ph, axis=1), pw, axis=2) if layer.circular else inside)


def pool(stage: Stage, x: Doubles) -> Doubles:
    """Return maxima or means of the windows."""
    windows = _pool_windows(stage, x)
    return np.ascontiguousarray(
        windows.max(axis=(4, 5)) if isinstance(stage.layer, AbstractMaximum) else windows.mean(axis=(4, 5))
    )


def pool_difference(stage: Stage, x: Doubles, dx: Doubles) -> Doubles:
    """Return pool(x + dx) - pool(x) without cancellation: with maxima at j and then j', dx[j'] - (x[j] - x[j'])."""
    if not isinstance(stage.layer, AbstractMaximum):
        return pool(stage, dx)
    before, moves = _flat_windows(stage, x), _flat_windows(stage, dx)
    old = before.max(axis=-1)
    new = np.argmax(before + moves, axis=-1)[..., None]
    gone = old - np.take_along_axis(before, new, axis=-1)[..., 0]
    return np.ascontiguousarray(np.take_along_axis(moves, new, axis=-1)[..., 0] - gone)


def pool_adjoint(stage: Stage, x: Doubles, y: Doubles) -> Doubles:
    """Return the transposed derivative of ``pool`` at ``x``."""
    (kh, kw), (sh, sw) = _window(stage)
    _, rows, columns = stage.output
    out = np.zeros(x.shape)
    chosen = np.argmax(_flat_windows(stage, x), axis=-1) if isinstance(stage.layer, AbstractMaximum) else None
    for tap, (i, j) in enumerate(np.ndindex(kh, kw)):
        share = y / (kh * kw) if chosen is None else np.where(chosen == tap, y, 0.0)
        out[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw] += share
    return out


def pool_errors(
    stage: Stage, passed: tuple[Doubles, Doubles], moved: tuple[Doubles, Doubles], g: float
) -> tuple[Doubles, Doubles]:
    """Return error bounds of ``pool`` and ``pool_difference`` for values with error bounds: (x, ex) and (dx, edx).

    Maxima err by at most the largest ex of their window. Where one entry is the maximum before and after whatever the
    errors, the difference is that entry's; otherwise an error of x moves it by at most 2 max ex and 2 max |dx| as well.
    ``g`` bounds the relative error of a mean.
    """
    (x, ex), (dx, edx) = passed, moved
    if not isinstance(stage.layer, AbstractMaximum):
        means = tuple(pool(stage, bound + g * np.abs(value)) for value, bound in (passed, moved))
        return means[0], means[1]
    flat, flat_ex, flat_dx, flat_edx = (_flat_windows(stage, a) for a in (x, ex, dx, edx))
    worst, worst_moved = flat_ex.max(axis=-1), flat_edx.max(axis=-1)
    largest_move = np.abs(flat_dx).max(axis=-1)
    shift = np.minimum(2.0 * worst, 2.0 * (largest_move + worst_moved))
    sizes = g * (np.abs(flat).max(axis=-1) + largest_move)
    sure = _margin(flat) > 2.001 * worst
    sure &= _margin(flat + flat_dx) > 2.001 * (worst + worst_moved + sizes)
    sure &= np.argmax(flat, axis=-1) == np.argmax(flat + flat_dx, axis=-1)
    return worst, worst_moved + g * largest_move + np.where(sure, 0.0, shift + 2.0 * sizes)


def _margin(flat: Doubles) -> Doubles:
    if flat.shape[-1] == 1:
        return np.full(flat.shape[:-1], np.inf)
    top = np.partition(flat, -2, axis=-1)
    return np.asarray(top[..., -1] - top[..., -2])


def _window(stage: Stage) -> tuple[tuple[int, int], tuple[int, int]]:
    assert isinstance(stage.layer, AbstractPool)
    return stage.layer.window(stage.input)


def _pool_windows(stage: Stage, x: Doubles) -> Doubles:
    return _windows(x, *_window(stage))


def _flat_windows(stage: Stage, x: Doubles) -> Doubles:
    windows = _pool_windows(stage, x)
    return windows.reshape(*windows.shape[:4], -1)


def _windows(x: Doubles, kernel: tuple[int, int], stride: tuple[int, int]) -> Doubles:
    seen = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    return seen[:, :: stride[0], :: stride[1]]


def _padded(layer: Conv2d, x: Doubles) -> Doubles:
    (ph, pw), mode = layer.padding, "wrap" if layer.circular else "constant"
    return np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), mode=mode) if ph or pw else x  # type: ignore[call-overload]


def _folded(x: Doubles, padding: int, *, axis: int) -> Doubles:
    if not padding:
        return x
    first, core, last = np.split(x, [padding, x.shape[axis] - padding], axis=axis)
    core = core.copy()
    moved = np.moveaxis(core, axis, 0)
    moved[len(moved) - padding :] += np.moveaxis(first, axis, 0)
    moved[:padding] += np.moveaxis(last, axis, 0)
    return core
