"""The best norm bound of a random matrix at a level, with the candidates it was chosen from and what each one spends.

Every candidate is a number fixed beforehand that holds at the same level delta, so their minimum holds at level delta.
Entries are independent and symmetric of unit scale (U[-1, 1], N(0, 1), Laplace of variance 1, +-1): multiply by the
layer's scale.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.theory.laws import GAUSSIAN, MomentLaw
from simprune.theory.moment_norms import moment_bound, profile_bound
from simprune.theory.sparse_norms import gaussian_bound, masked_bound, sparse_bound

FEW = 0.1
"""Below this pruned share bound C cannot win and is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One inequality's bound ``value``; ``budget`` says how it spends the delta of its event."""

    method: str
    value: float
    budget: str = "all of it"

    def times(self, factor: float) -> "Candidate":
        """Return the bound of a matrix scaled by ``factor``."""
        return Candidate(method=self.method, value=factor * self.value, budget=self.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class NormBound:
    """P(norm > value) <= delta; ``candidates`` in ascending order, the first one is the bound."""

    delta: float
    candidates: tuple[Candidate, ...]

    @property
    def value(self) -> float:
        """The bound."""
        return self.candidates[0].value

    @property
    def method(self) -> str:
        """Name of the inequality that gives the bound."""
        return self.candidates[0].method

    def times(self, factor: float) -> "NormBound":
        """Return the bound of a matrix scaled by ``factor``."""
        return NormBound(delta=self.delta, candidates=tuple(c.times(factor) for c in self.candidates))


def best_of(*candidates: Candidate, delta: float) -> NormBound:
    """Return the bound of all candidates at level ``delta``.

    >>> best_of(Candidate(method="a", value=2.0), Candidate(method="b", value=1.0), delta=0.05).method
    'b'
    """
    return NormBound(delta=delta, candidates=tuple(sorted(candidates, key=lambda c: c.value)))


def check_delta(delta: float) -> None:
    """Raise InputError unless delta lies in (0, 1).

    >>> check_delta(0.05)
    """
    if not 0.0 < delta < 1.0:
        raise InputError(f"delta must lie in (0, 1), got {delta}; it is the probability that the bound may fail")


@lru_cache(maxsize=4096)
def dense_norm(n: int, m: int, law: MomentLaw, *, delta: float) -> NormBound:
    """Bound the norm of a full n x m matrix: M* (Lemma M*), G (Gordon, Davidson & Szarek).

    Laplace entries are not sub-Gaussian: no G exists for them, and M* uses an order-dependent beta.

    >>> from simprune.theory.laws import GAUSSIAN
    >>> found = dense_norm(100, 100, GAUSSIAN, delta=0.05)
    >>> found.method, round(found.value, 2)
    ('M*', 20.61)
    """
    candidates = [Candidate(method="M*", value=moment_bound(n, m, 1.0, law, delta=delta))]
    if law.kappa is not None:
        candidates.append(Candidate(method="G", value=gaussian_bound(n, m, law.kappa, delta=delta)))
    return best_of(*candidates, delta=delta)


@lru_cache(maxsize=4096)
def masked_norm(n: int, m: int, k: int, law: MomentLaw, *, exact_count: bool, delta: float) -> NormBound:
    """Bound the norm of an n x m matrix whose entries survive on a random mask: k of them, or each with q = k / (n m).

    M* (Lemma M*), J (Jensen: at most the full matrix), C (masked convex domination), S (degrees, exact counts only).

    >>> from simprune.theory.laws import UNIFORM
    >>> found = masked_norm(512, 512, 512, UNIFORM, exact_count=True, delta=0.05)
    >>> found.method, round(found.value, 2)
    ('M*', 2.43)
    """
    q = k / (n * m)
    full = dense_norm(n, m, law, delta=delta)
    candidates = [
        Candidate(method="M*", value=moment_bound(n, m, q, law, delta=delta)),
        Candidate(method=f"J ({full.method})", value=full.value, budget=full.candidates[0].budget),
    ]
    if law.bounded and q >= FEW:
        value = masked_bound(n, m, q, law, delta=delta, exact_count=exact_count)
        candidates.append(Candidate(method="C", value=value, budget="k-subset: 1/2 lost" if exact_count else "all of it"))
    if law.bounded and exact_count:
        budget = "1/4 rows, 1/4 columns, 1/2 cycles, or 1/2 each"
        candidates.append(Candidate(method="S", value=sparse_bound(n, m, k, delta=delta), budget=budget))
    return best_of(*candidates, delta=delta)


def fixed_mask_norm(mask: npt.NDArray[np.bool_], law: MomentLaw, *, delta: float) -> NormBound:
    """Bound the norm of random entries on a given mask ``[n, m]`` (True = present), fixed before the entries are drawn.

    J: the full matrix on the non-empty rows and columns; P: M* with the largest row and column counts; D: sqrt(h1 h2)
    for bounded entries. A mask without entries gives 0.

    >>> from simprune.theory.laws import RADEMACHER
    >>> round(fixed_mask_norm(np.eye(5, dtype=bool), RADEMACHER, delta=0.05).value, 9)
    1.0
    """
    if mask.ndim != 2:
        raise InputError(f"a mask must have two axes, got shape {mask.shape}; pass an array [d_out, d_in]")
    rows, columns = mask.sum(axis=1), mask.sum(axis=0)
    if not rows.any():
        return best_of(Candidate(method="empty", value=0.0), delta=delta)
    n, m = int(np.count_nonzero(rows)), int(np.count_nonzero(columns))
    h1, h2 = float(rows.max()), float(columns.max())
    full = dense_norm(n, m, law, delta=delta)
    candidates = [Candidate(method=f"J ({full.method})", value=full.value, budget=full.candidates[0].budget)]
    candidates.append(Candidate(method="P", value=profile_bound(n, m, law, row_sum=h1, column_sum=h2, delta=delta)))
    if law.bounded:
        candidates.append(Candidate(method="D", value=math.sqrt(h1 * h2), budget="none: holds always"))
    return best_of(*candidates, delta=delta)


def coarse_norm(n_rows: int, q: float, law: MomentLaw, *, delta: float) -> float:
    """Bound L, closed form of M* for a masked square matrix with ``n_rows`` rows (derived here), at level delta.

    sqrt(e / beta) (2 sqrt(d q) + (2 + sqrt 2) sqrt p), p = ceil(log(d / delta)), theta(beta) = 1.

    >>> from simprune.theory.laws import UNIFORM
    >>> round(coarse_norm(512, 1.0, UNIFORM, delta=0.05), 1)
    53.4
    """
    if not law.plain_beta:
        raise InputError(f"bound L needs sub-Gaussian even moments, got {law.name}; take {GAUSSIAN.name} or a bounded law")
    p = math.ceil(math.log(n_rows / delta))
    tail = 2.0 * math.sqrt(n_rows * q) + (2.0 + math.sqrt(2.0)) * math.sqrt(p)
    return math.sqrt(math.e / law.plain_beta) * tail
