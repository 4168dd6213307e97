"""Universal coefficients N_p(i, j) of Lemma M*: E Tr (Y Y^T)^p = sum N_p(i, j) (r)_i (r')_j for Gaussian Y, r x r'.

Shipped as logarithms for p <= 64, made and integer-checked by scripts/wishart_table.py (zonal expansion of the power
sum; Hanlon, Stanley & Stembridge, 1992). Sums are taken over i + j - 1 = s first, so that one pass over the table per
shape serves every masking probability.
"""

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ORDERS = 64
"""Largest p of the shipped table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientTable:
    """All non-zero coefficients, ordered by (p, i + j): ``logs`` and ``i``, ``j`` are ``[n]``.

    ``starts`` are the first positions of the ORDERS (ORDERS + 1) / 2 cells (p, s = i + j - 1 = 1..p), in that order.
    """

    logs: Doubles
    i: Ints
    j: Ints
    starts: Ints


@cache
def coefficient_table() -> CoefficientTable:
    """Return the shipped table, read once.

    >>> table = coefficient_table()
    >>> np.exp(table.logs[:4]).round(9).tolist()
    [1.0, 3.0, 1.0, 1.0]
    """
    with resources.files("simprune.theory").joinpath("wishart_moments.npz").open("rb") as file:
        lower = np.load(file, allow_pickle=False)["logs"]
    p, i, j = np.nonzero(np.isfinite(lower))
    logs = lower[p, i, j]
    off = i != j
    p, logs = np.concatenate([p, p[off]]), np.concatenate([logs, logs[off]])
    i, j = np.concatenate([i, j[off]]), np.concatenate([j, i[off]])
    cell = p * (p - 1) // 2 + (i + j - 2)
    order = np.lexsort((i, cell))
    cell = cell[order]
    return CoefficientTable(
        logs=logs[order], i=i[order], j=j[order], starts=np.searchsorted(cell, np.arange(cell[-1] + 1)).astype(np.int64)
    )


@lru_cache(maxsize=4096)
def log_falling_factorials(x: int, count: int) -> Doubles:
    """Return log (x)_i for i = 0..count - 1, -inf from where a factor is 0; sums of logs lose no digits for large x.

    >>> np.exp(log_falling_factorials(3, 5)).round(9).tolist()
    [1.0, 3.0, 6.0, 6.0, 0.0]
    """
    steps = np.arange(count - 1, dtype=np.float64)
    factors = np.maximum(float(x) - steps, 0.0)
    with np.errstate(divide="ignore"):
        logs = np.concatenate([[0.0], np.cumsum(np.log(factors))])
    logs.setflags(write=False)
    return logs


def log_powers(base: float) -> Doubles:
    """Return i log(base) for i = 0..ORDERS: the exponents of a profile bound, in place of falling factorials.

    >>> log_powers(2.0)[:2].round(3).tolist()
    [0.0, 0.693]
    """
    return np.asarray(np.arange(ORDERS + 1) * math.log(base))


def log_cells(left: Doubles, right: Doubles) -> Doubles:
    """Return log sum over i + j - 1 = s of N_p(i, j) exp(left[i] + right[j]), ``[ORDERS, ORDERS]`` by p - 1 and s - 1.

    >>> cells = log_cells(log_powers(1.0), log_powers(1.0))
    >>> np.exp(cells[1, :2]).round(9).tolist()
    [3.0, 2.0]
    """
    table = coefficient_table()
    terms = table.logs + left[table.i] + right[table.j]
    top = np.maximum.reduceat(terms, table.starts)
    counts = np.diff(np.append(table.starts, len(terms)))
    finite = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        sums = np.log(np.add.reduceat(np.exp(terms - np.repeat(finite, counts)), table.starts)) + finite
    cells = np.full((ORDERS, ORDERS), -np.inf)
    cells[np.tril_indices(ORDERS)] = sums
    return cells


@lru_cache(maxsize=512)
def shape_cells(n: int, m: int) -> Doubles:
    """Return ``log_cells`` of an n x m matrix, with falling factorials (n)_i (m)_j.

    >>> np.exp(shape_cells(3, 5)[0, :1]).round(9).tolist()
    [15.0]
    """
    return log_cells(log_falling_factorials(n, ORDERS + 1), log_falling_factorials(m, ORDERS + 1))


def log_sum_rows(cells: Doubles, log_weight: Doubles | float) -> Doubles:
    """Return log sum over s of exp(cells[p - 1, s - 1] + s log_weight) for every p, ``[..., ORDERS]``.

    ``log_weight`` may be ``[..., 1, 1]`` to hold many weights at once.

    >>> np.exp(log_sum_rows(shape_cells(3, 5), 0.0)[:1]).round(9).tolist()
    [15.0]
    """
    terms = cells + np.arange(1, ORDERS + 1) * log_weight
    top = terms.max(axis=-1)
    return np.asarray(top + np.log(np.exp(terms - top[..., None]).sum(axis=-1)))


def log_trace_moments(n: int, m: int, q: float) -> Doubles:
    """Return log S_p for p = 1..ORDERS, S_p = sum N_p(i, j) (n)_i (m)_j q^(i + j - 1) (Lemma M*).

    For q = 1 it is log E Tr (Y Y^T)^p of a Gaussian n x m matrix: 3 x 5 gives 15 and 15 (3 + 5 + 1).

    >>> np.exp(log_trace_moments(3, 5, 1.0)[:2]).round(9).tolist()
    [15.0, 135.0]
    """
    return log_sum_rows(shape_cells(n, m), math.log(q))
