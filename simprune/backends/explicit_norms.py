"""Certified norms of explicit layers and vectors."""

import numpy as np
import numpy.typing as npt

from simprune.backends import explicit_maps as maps
from simprune.backends.conv_certificates import group_norm
from simprune.backends.conv_plan import layer_plan
from simprune.backends.largest_norm import largest_norm
from simprune.model.chain import Stage
from simprune.model.layers import Conv2d

Doubles = npt.NDArray[np.float64]
MOST_ENTRIES = 1 << 22
EPS = 2.0**-52


def vector_norm(vector: Doubles) -> float:
    """Return an upper bound of the Euclidean length of all entries."""
    return float(np.linalg.norm(vector.ravel())) * (1.0 + (vector.size + 8) * EPS)


def map_norm(stage: Stage, kernel: Doubles) -> float:
    """Return a certified upper bound of the norm of a weighted layer as a map of images or vectors.

    Small convolutions are written out as a matrix as well, whose norm is sharp also where the padding is zero.
    """
    if not kernel.any():
        return 0.0
    if not isinstance(stage.layer, Conv2d):
        return float(largest_norm(np.ascontiguousarray(kernel[None])))
    geometry = layer_plan(stage).geometry
    bound = max(group_norm(geometry, group) for group in kernel.reshape(stage.layer.groups, -1))
    inputs, outputs = int(np.prod(stage.input)), int(np.prod(stage.output))
    if inputs * outputs <= MOST_ENTRIES:
        unit = np.eye(inputs).reshape(*stage.input, inputs)
        matrix = maps.apply(stage, kernel, unit).reshape(outputs, inputs)
        bound = min(bound, float(largest_norm(np.ascontiguousarray(matrix[None]))))
    return bound
