"""Norm bounds beside Lemma M*: degrees of very sparse masks (S), convex domination of masked entries (C)."""

import math
from functools import lru_cache

import numpy as np
from scipy.special import gammaln, ndtr

from simprune.theory.laws import UNIFORM, MomentLaw

MAX_DEGREE = 400


def sparse_bound(n: int, m: int, k: int, *, delta: float) -> float:
    """Bound S of a matrix with entries in [-1, 1] on a uniform k-subset (derived here), at level delta.

    min(sqrt(h1 h2), sqrt(k), and 2 sqrt(h - 1) if the mask is a forest); h1, h2 bound the numbers of unmasked entries in
    a row and in a column: n C(m, h + 1) q^(h + 1) <= delta / 2; P(cycle) <= sum over c >= 2 of (n m q^2)^c / (2c).

    >>> sparse_bound(1000, 1000, 1, delta=0.05)
    1.0
    """
    h1, h2 = _degree(n, m, k, delta=delta / 2.0), _degree(m, n, k, delta=delta / 2.0)
    best = min(math.sqrt(h1 * h2), math.sqrt(k))
    mean = n * m * (k / (n * m)) ** 2
    if mean < 1.0:
        cycle = -0.5 * math.log1p(-mean) - 0.5 * mean
        if cycle < delta / 2.0:
            rest = (delta - cycle) / 2.0
            h = max(_degree(n, m, k, delta=rest), _degree(m, n, k, delta=rest))
            best = min(best, 1.0 if h <= 1 else 2.0 * math.sqrt(h - 1))
    return best


def _degree(n: int, m: int, k: int, *, delta: float) -> int:
    """Return h with P(some of n rows holds more than h entries) <= n C(m, h + 1) q^(h + 1) <= delta."""
    q, most = k / (n * m), min(m, k)
    if q > 0.5:
        return most
    h = np.arange(min(most, MAX_DEGREE), dtype=np.float64)
    choices = gammaln(m + 1.0) - gammaln(h + 2.0) - gammaln(m - h) if m < 1e7 else (h + 1) * math.log(m) - gammaln(h + 2.0)
    rare = math.log(n) + choices + (h + 1) * math.log(q) <= math.log(delta)
    return int(np.argmax(rare)) if rare.any() else most


def gaussian_bound(n: int, m: int, kappa: float, *, delta: float) -> float:
    """Bound G: kappa (sqrt n + sqrt m + sqrt(2 log(1 / delta))) for independent entries <= kappa g in convex order.

    E exp(l ||X||) <= E exp(l kappa ||G||), E ||G|| <= sqrt n + sqrt m (Gordon 1985; Davidson & Szarek 2001), and
    Gaussian concentration. Gaussian entries: this is Davidson and Szarek's theorem.

    >>> round(gaussian_bound(100, 100, 1.0, delta=0.05), 2)
    22.45
    """
    return kappa * (math.sqrt(n) + math.sqrt(m) + math.sqrt(2.0 * math.log(1.0 / delta)))


def masked_bound(n: int, m: int, q: float, law: MomentLaw, *, delta: float, exact_count: bool) -> float:
    """Bound C: bound G with the least kappa that dominates eta xi; a k-subset costs a factor 2 in delta (derived here).

    A uniform k-subset with k = q n m: E Psi(||X_S||) is non-decreasing in S (Jensen) and the binomial count reaches its
    median k with probability 1/2 or more.

    >>> from simprune.theory.laws import UNIFORM
    >>> round(masked_bound(512, 512, 0.5, UNIFORM, delta=0.05, exact_count=True), 1)
    21.9
    """
    return gaussian_bound(n, m, masked_kappa(q, law), delta=delta / 2.0 if exact_count else delta)


@lru_cache(maxsize=4096)
def masked_kappa(q: float, law: MomentLaw) -> float:
    """Return kappa with q E(xi - y)_+ <= E(kappa g - y)_+ for all y, for a bounded law; 0.1 % above the least one.

    Both sides fall in y, so it is enough that each cell's left end satisfies the left side at the right end's value.

    >>> from simprune.theory.laws import UNIFORM
    >>> round(masked_kappa(1.0, UNIFORM), 3)
    0.628
    """
    y = np.linspace(0.0, 1.0, 1001)
    excess = (1.0 - y) ** 2 / 4.0 if law is UNIFORM else (1.0 - y) / 2.0
    needed, ends = q * excess[:-1], y[1:]
    low, high = 1e-3, 2.0
    while high > 1.001 * low:
        middle = math.sqrt(low * high)
        z = ends / middle
        reached = middle * (np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) - z * ndtr(-z))
        low, high = (low, middle) if (reached >= needed).all() else (middle, high)
    return high
