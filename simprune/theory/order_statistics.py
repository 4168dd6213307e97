"""The exact law of the magnitude threshold T = |W|_(k+1), the smallest kept magnitude.

For D i.i.d. weights with continuous distribution function H of the magnitude, H(T) ~ Beta(k + 1, D - k)
(David & Nagaraja, Order Statistics, 2003, section 2.1). This is the step that Theorem 1's proof really uses.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from simprune.model.distributions import AbstractDistribution, Laplace
from simprune.model.errors import InputError

Doubles = npt.NDArray[np.float64]

NORMAL_ABOVE = 1e9
"""Above this value of both parameters the incomplete beta function loses digits; the Cornish-Fisher form is within 1e-9."""
SHARE_ERROR = {"float32": 2.0**-32 + 2.0**-52, "float64": 2.0**-52}
WEIGHT_ERROR = {"float32": 5e-7, "float64": 4e-16}
"""Bound of the relative error of a sampled weight; SHARE_ERROR bounds the error of H at it (half a key, rounding)."""


def beta_cdf(x: npt.ArrayLike, *, a: float, b: float) -> Doubles:
    """Return P(B <= x) for B ~ Beta(a, b), for parameters up to 1e18.

    >>> round(float(beta_cdf(0.5, a=2, b=1)), 12)
    0.25
    """
    value = np.clip(np.asarray(x, dtype=np.float64), 0.0, 1.0)
    if min(a, b) <= NORMAL_ABOVE:
        return np.asarray(special.betainc(a, b, value))
    mean, std, skewness = _beta_moments(a, b)
    y = (value - mean) / std
    return np.asarray(special.ndtr(y - (y * y - 1.0) * skewness / 6.0))


def beta_quantile(level: npt.ArrayLike, complement: npt.ArrayLike, *, a: float, b: float) -> tuple[Doubles, Doubles]:
    """Return the quantile x of Beta(a, b) and 1 - x, both to full relative accuracy; ``complement`` is 1 - level.

    >>> x, rest = beta_quantile(0.25, 0.75, a=2, b=1)
    >>> round(float(x), 12), round(float(rest), 12)
    (0.5, 0.5)
    """
    p, q = np.asarray(level, dtype=np.float64), np.asarray(complement, dtype=np.float64)
    if min(a, b) <= NORMAL_ABOVE:
        x = np.where(p <= 0.5, special.betaincinv(a, b, p), special.betainccinv(a, b, q))
        rest = np.where(p <= 0.5, special.betainccinv(b, a, p), special.betaincinv(b, a, q))
        return x, rest
    mean, std, skewness = _beta_moments(a, b)
    z = np.where(p <= 0.5, special.ndtri(p), -special.ndtri(q))
    shift = std * (z + (z * z - 1.0) * skewness / 6.0)
    return mean + shift, b / (a + b) - shift


def beta_log_moments(n_weights: int, n_pruned: int, *, count: int) -> Doubles:
    """Return log E B^(2p), p = 1..count, of B ~ Beta(k + 1, D - k): sums of logs, no digits lost for D up to 1e18.

    E B^r = prod over i < r of (k + 1 + i) / (D + 1 + i); a^2p times it is E T^2p for weights U[-a, a]. k = 0, D = 1 is
    the uniform law, E B^2 = 1/3:

    >>> round(float(np.exp(beta_log_moments(1, 0, count=1))[0]), 12)
    0.333333333333
    """
    steps = np.arange(2 * count)
    return np.asarray(np.cumsum(np.log((n_pruned + 1.0 + steps) / (n_weights + 1.0 + steps)))[1::2])


def chernoff_excess(mean: float, log: float) -> float:
    """Return x with mean x^2 / (2 (1 + x)) = log: a count, Beta or gamma law exceeds (1 + x) its mean w. p. <= e^(-log).

    P(Beta(k + 1, D - k) > (1 + x) k / D) = P(Bin(D, (1 + x) k / D) <= k) <= exp(-k x^2 / (2 (1 + x))).

    >>> round(chernoff_excess(100.0, 3.0), 3)
    0.277
    """
    return (log + math.sqrt(log * log + 2.0 * mean * log)) / mean


def beta_chernoff(n_weights: int, n_pruned: int, *, delta: float) -> float:
    """Return b with P(B > b) <= delta for B ~ Beta(k + 1, D - k), the law of H(T), in closed form (k >= 1).

    >>> round(beta_chernoff(10**18, 10**9, delta=0.05) * 1e9, 6)
    1.000077
    """
    return min(1.0, n_pruned / n_weights * (1.0 + chernoff_excess(n_pruned, math.log(1.0 / delta))))


def beta_survival(x: Doubles, *, n_weights: int, n_pruned: int) -> Doubles:
    """Return P(B > x) for B ~ Beta(k + 1, D - k), or Chernoff's bound of it where both parameters are huge.

    >>> beta_survival(np.array([0.5]), n_weights=2, n_pruned=1).round(12).tolist()
    [0.75]
    """
    if min(n_pruned, n_weights - n_pruned) <= NORMAL_ABOVE:
        return np.asarray(special.betaincc(n_pruned + 1.0, float(n_weights - n_pruned), x))
    excess = np.maximum(x * (n_weights / n_pruned) - 1.0, 0.0)
    return np.asarray(np.exp(-n_pruned * excess**2 / (2.0 * (1.0 + excess))))


def _beta_moments(a: float, b: float) -> tuple[float, float, float]:
    total = a + b
    mean = a / total
    std = math.sqrt(mean * (b / total) / (total + 1.0))
    skewness = 2.0 * (b - a) * math.sqrt(total + 1.0) / ((total + 2.0) * math.sqrt(a) * math.sqrt(b))
    return mean, std, skewness


def magnitudes(law: type[AbstractDistribution], shares: Doubles, complements: Doubles) -> Doubles:
    """Return the magnitudes at scale 1 below which a law has ``shares``, to full relative accuracy for tiny shares.

    >>> from simprune.model.distributions import Laplace
    >>> float(magnitudes(Laplace, np.array([1e-20]), np.array([1.0]))[0]) == 1e-20 / 2**0.5
    True
    """
    pairs = zip(shares.ravel().tolist(), complements.ravel().tolist(), strict=True)
    if law is Laplace:
        # the sampled scalar takes the logarithm of the complement, whose rounding hides shares below 1e-16
        values = [-math.log1p(-u) / math.sqrt(2.0) if u < 0.5 else law.magnitude(u, c) for u, c in pairs]
    else:
        values = [law.magnitude(u, c) for u, c in pairs]
    return np.array(values, dtype=np.float64).reshape(shares.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdLaw:
    """Law of the smallest kept magnitude of a layer of ``n_weights`` weights of which ``n_pruned`` smallest go.

    ``scale`` is the layer's K / sqrt(max(d_out, d_in)); thresholds are in the units of the weights.
    """

    n_weights: int
    n_pruned: int
    distribution: AbstractDistribution
    scale: float

    def __post_init__(self) -> None:
        if not 0 <= self.n_pruned < self.n_weights:
            raise InputError(
                f"n_pruned must lie in 0..{self.n_weights - 1}, got {self.n_pruned}; "
                "a layer without kept weights has no threshold"
            )
        if not self.distribution.is_continuous:
            raise InputError(
                f"the weight law must be continuous, got {self.distribution.name}; tied magnitudes have no Beta law"
            )

    @property
    def a(self) -> float:
        """First parameter of the Beta law, k + 1."""
        return float(self.n_pruned + 1)

    @property
    def b(self) -> float:
        """Second parameter of the Beta law, D - k."""
        return float(self.n_weights - self.n_pruned)

    def cdf(self, thresholds: npt.ArrayLike) -> Doubles:
        """Return P(T <= t) for every threshold t."""
        values = np.asarray(thresholds, dtype=np.float64)
        magnitude_cdf, scale = self.distribution.magnitude_cdf, self.scale
        share = np.array([magnitude_cdf(t / scale) for t in values.ravel().tolist()], dtype=np.float64)
        return beta_cdf(share.reshape(values.shape), a=self.a, b=self.b)

    def quantile(self, levels: npt.ArrayLike) -> Doubles:
        """Return the threshold that is not exceeded with probability ``levels``, each in (0, 1)."""
        p = np.asarray(levels, dtype=np.float64)
        return self._image(p, 1.0 - p)

    @property
    def mean(self) -> float:
        """Expected threshold, by the trapezoid rule in normal scores (relative error below 1e-9)."""
        z = np.linspace(-8.5, 8.5, 137)
        weights = np.exp(-0.5 * z * z) * (z[1] - z[0]) / math.sqrt(2.0 * math.pi)
        return float(weights @ self._image(special.ndtr(z), special.ndtr(-z)))

    def rounding_distance(self, precision: str) -> float:
        """Return a bound of the Kolmogorov distance between the law of sampled thresholds and the exact law.

        Sampled magnitudes sit on a grid of 2^31 (float32) or 2^53 (float64) equally likely values and are rounded. The
        bound is the largest density of the Beta law (Stirling) times the error of H(T); t h(t) <= H(t) as h decreases.
        """
        n, k = self.n_weights - 1, self.n_pruned
        spread = k * ((n - k) / n) if n else 0.0
        density = self.n_weights * (min(1.0, 1.0 / math.sqrt(2.0 * math.pi * spread)) if spread else 1.0)
        mean, std, _ = _beta_moments(self.a, self.b)
        error = SHARE_ERROR[precision] + min(1.0, mean + 7.0 * std) * WEIGHT_ERROR[precision]
        return min(1.0, density * error)

    def _image(self, level: Doubles, complement: Doubles) -> Doubles:
        x, rest = beta_quantile(level, complement, a=self.a, b=self.b)
        return self.scale * magnitudes(type(self.distribution), x, rest)
