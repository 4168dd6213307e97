"""Universal coefficients N_p(i, j) of Lemma M*: E Tr (Y Y^T)^p = sum N_p(i, j) (r)_i (r')_j for Gaussian Y, r x r'.

Shipped as logarithms for p <= 64, made and integer-checked by scripts/wishart_table.py.
"""

import math
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@cache
def log_coefficients() -> Doubles:
    """Return log N_p(i, j) ``[P, P + 1, P + 1]`` for p = 1..P (first axis p - 1), -inf where the coefficient is 0."""
    with resources.files("simprune.theory").joinpath("wishart_moments.npz").open("rb") as file:
        lower = np.load(file, allow_pickle=False)["logs"]
    return np.asarray(np.maximum(lower, lower.transpose(0, 2, 1))[1:], dtype=np.float64)


@cache
def log_falling_factorials(x: int, count: int) -> Doubles:
    """Return log (x)_i for i = 0..count - 1, -inf from where a factor is 0; sums of logs lose no digits for large x.

    >>> np.exp(log_falling_factorials(3, 5)).round(9).tolist()
    [1.0, 3.0, 6.0, 6.0, 0.0]
    """
    logs = np.full(count, -np.inf)
    logs[0] = 0.0
    for i in range(1, min(count, x + 1)):
        logs[i] = logs[i - 1] + math.log(x - i + 1)
    logs.setflags(write=False)
    return logs


def log_trace_moments(n: int, m: int, q: float) -> Doubles:
    """Return log S_p for p = 1..P, S_p = sum N_p(i, j) (n)_i (m)_j q^(i + j - 1): bounds of E Tr (X X^T)^p (Lemma M*)."""
    table = log_coefficients()
    size = table.shape[1]
    exponent = np.add.outer(np.arange(size), np.arange(size)) - 1.0
    shape = log_falling_factorials(n, size)[:, None] + log_falling_factorials(m, size)[None, :]
    terms = (table + (shape + exponent * math.log(q))[None]).reshape(len(table), -1)
    top = terms.max(axis=1)
    return np.asarray(top + np.log(np.exp(terms - top[:, None]).sum(axis=1)))
