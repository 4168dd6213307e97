"""Where layers and nodes lie in the flat arrays of a trial, as the CUDA kernels read it."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

FIRST, AT, AT_TURNED, NODE_IN, NODE_OUT, D_IN, D_OUT = range(7)


def layer_plan(widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return ``[depth, 7]``: of every layer the first weight, the first word of its mask and of the mask transposed, the
    first row of its input and of its output node in stacked columns, and its widths.

    >>> layer_plan((3, 40, 2)).tolist()
    [[0, 0, 0, 0, 3, 3, 40], [120, 40, 6, 3, 43, 40, 2]]
    """
    pairs = list(pairwise(widths))
    weights = accumulate((d_in * d_out for d_in, d_out in pairs), initial=0)
    words = accumulate((mask_words(d_in, d_out) for d_in, d_out in pairs), initial=0)
    turned = accumulate((mask_words(d_out, d_in) for d_in, d_out in pairs), initial=0)
    nodes = list(accumulate(widths, initial=0))
    rows = [
        (first, at, at_turned, nodes[layer], nodes[layer + 1], d_in, d_out)
        for layer, ((d_in, d_out), first, at, at_turned) in enumerate(zip(pairs, weights, words, turned, strict=False))
    ]
    return np.array(rows, dtype=np.int64)


def mask_words(d_in: int, d_out: int) -> int:
    """Return the number of 32-bit words of a layer's mask: every row begins with a word of its own."""
    return d_out * -(-d_in // 32)
