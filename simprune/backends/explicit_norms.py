"""Certified norms of explicit layers and vectors."""

import numpy as np
import numpy.typing as npt

from simprune.backends import certificates
from simprune.backends import explicit_maps as maps
from simprune.backends.compile import kernel
from simprune.model.layers import Conv2d, Stage

Doubles = npt.NDArray[np.float64]
MOST_ENTRIES = 1 << 22
EPS = 2.0**-52
norm_upper = kernel(certificates.norm_upper.py_func)


def vector_norm(vector: Doubles) -> float:
    """Return an upper bound of the Euclidean length of all entries."""
    return float(np.linalg.norm(vector.ravel())) * (1.0 + (vector.size + 8) * EPS)


def map_norm(stage: Stage, kernel: Doubles) -> float:
    """Return a certified upper bound of the norm of a weighted layer as a map of images or vectors.

    A convolution is the sum of its taps, each a matrix between channels that moves and leaves out pixels, so its norm is at
    most the sum of the norms of the taps; small ones are written out as a matrix instead.
    """
    if not kernel.any():
        return 0.0
    layer = stage.layer
    if not isinstance(layer, Conv2d):
        return float(norm_upper(np.ascontiguousarray(kernel)))
    inputs, outputs = int(np.prod(stage.input)), int(np.prod(stage.output))
    bounds = [_sum_of_taps(layer, kernel)]
    if inputs * outputs <= MOST_ENTRIES:
        unit = np.eye(inputs).reshape(*stage.input, inputs)
        bounds.append(float(norm_upper(np.ascontiguousarray(maps.apply(stage, kernel, unit).reshape(outputs, inputs)))))
    return min(bounds)


def _sum_of_taps(layer: Conv2d, kernel: Doubles) -> float:
    total = 0.0
    for i, j in np.ndindex(*layer.kernel):
        groups = np.split(np.ascontiguousarray(kernel[:, :, i, j]), layer.groups)
        total += max(float(norm_upper(np.ascontiguousarray(group))) for group in groups)
    return total * (1.0 + 1e-12)
