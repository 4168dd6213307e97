"""Where layers and nodes lie in the flat arrays of a trial, as the CUDA kernels read it.

A node is a vector of the network: the input, and what every map (layer or pooling) gives. A layer's weights are a matrix,
a convolution's those of all its filters, ``[c_out, c_in / groups * kh * kw]``.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from simprune.backends.conv_walk import steps_of
from simprune.model.layers import Conv2d
from simprune.model.network import NetworkSpec

FIRST, AT, AT_TURNED, NODE_IN, NODE_OUT, D_IN, D_OUT = range(7)
C_IN, HEIGHT, WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W, PAD_H, PAD_W, OUT_H, OUT_W, GROUPS, CIRCULAR, BIAS = range(
    7, 21
)
Ints = npt.NDArray[np.int64]


def layer_plan(widths: Sequence[int]) -> Ints:
    """Return ``[depth, 7]``: of every layer the first weight, the first word of its mask and of the mask transposed, the
    first row of its input and of its output node in stacked columns, and its widths.

    >>> layer_plan((3, 40, 2)).tolist()
    [[0, 0, 0, 0, 3, 3, 40], [120, 40, 6, 3, 43, 40, 2]]
    """
    nodes = list(accumulate(widths, initial=0))
    return _plan([(d_out, d_in) for d_in, d_out in pairwise(widths)], list(pairwise(nodes[:-1])))


def chain_plan(network: NetworkSpec, nodes: Sequence[int]) -> Ints:
    """Return the same of a network with convolutions, ``[depth, 21]``; ``nodes``: the first rows of all nodes.

    Further columns: channels, height and width of the image that a layer reads, kernel, strides, padding, height and width
    of the image that it writes, groups, whether padding is circular, first bias. A matrix is a convolution of 1 x 1 images.
    """
    ends = [(nodes[i], nodes[i + 1]) for i, step in enumerate(steps_of(network)) if step.plan is not None]
    rows, bias = [], 0
    for stage in network.weighted:
        (c_in, *source), (channels, *output) = stage.input, stage.output
        layer = stage.layer if isinstance(stage.layer, Conv2d) else Conv2d(channels=channels, kernel=(1, 1))
        slid = (*layer.kernel, *layer.stride, *layer.padding)
        rows.append((c_in, *(source or (1, 1)), *slid, *(output or (1, 1)), layer.groups, int(layer.circular), bias))
        bias += channels
    return np.hstack([_plan(network.shapes, ends), np.array(rows, dtype=np.int64)])


def node_sizes(network: NetworkSpec) -> list[int]:
    """Return the sizes of all nodes: the input, and what every layer and pooling gives."""
    if network.chain is None:
        return list(network.widths)
    return [network.widths[0], *(step.n_out for step in steps_of(network))]


def _plan(shapes: Sequence[tuple[int, int]], ends: Sequence[tuple[int, int]]) -> Ints:
    weights = accumulate((d_in * d_out for d_out, d_in in shapes), initial=0)
    words = accumulate((mask_words(d_in, d_out) for d_out, d_in in shapes), initial=0)
    turned = accumulate((mask_words(d_out, d_in) for d_out, d_in in shapes), initial=0)
    rows = [
        (first, at, at_turned, *nodes, d_in, d_out)
        for (d_out, d_in), first, at, at_turned, nodes in zip(shapes, weights, words, turned, ends, strict=False)
    ]
    return np.array(rows, dtype=np.int64)


def mask_words(d_in: int, d_out: int) -> int:
    """Return the number of 32-bit words of a layer's mask: every row begins with a word of its own."""
    return d_out * -(-d_in // 32)
