"""Pruned entries of a bit mask as compressed rows, in Numba."""

import numpy as np

from simprune.backends.compile import kernel


@kernel
def list_entries(words, first_word, shape, weights, at, starts, row, columns, values, spot):
    """Fill the compressed rows of -Delta of one layer of every trial from its mask.

    ``words`` ``[n_trials, ...]`` as ``cuda_selection`` packs them, the layer's from ``first_word`` on; its weights lie from
    ``at`` on. Its rows begin at ``row`` in ``starts``, its entries at ``spot`` in ``columns`` and ``values``.
    """
    d_out, d_in = shape
    row_words = (d_in + 31) // 32
    for t in range(words.shape[0]):
        found = 0
        starts[t, row] = 0
        for i in range(d_out):
            for word in range(row_words):
                bits = words[t, first_word + i * row_words + word]
                j = word * 32
                while bits != 0:
                    if bits & np.uint32(1):
                        columns[t, spot + found] = j
                        values[t, spot + found] = -weights[t, at + i * d_in + j]
                        found += 1
                    bits >>= np.uint32(1)
                    j += 1
            starts[t, row + i + 1] = found
