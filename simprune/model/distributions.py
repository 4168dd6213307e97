"""Weight laws: symmetric, i.i.d. within a layer, scaled by K / sqrt(max(d_out, d_in)).

A weight is ``sign * scale * magnitude(u, 1 - u)`` with a fair sign and u uniform on (0, 1). The magnitude is
non-decreasing in u, so ranking by the random key of u ranks by magnitude (README, "Random numbers").
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from simprune.model.errors import InputError
from simprune.model.registry import Registered
from simprune.model.scalars import half_normal_quantile, log


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstractDistribution(Registered, ABC):
    """A symmetric weight law with scale constant ``K`` (dimensionless)."""

    K: float = 1.0
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0.0 < self.K < math.inf):
            raise InputError(f"K must be positive and finite, got {self.K}; it scales every weight by K / sqrt(max width)")

    def scale(self, d_out: int, d_in: int) -> float:
        """Return K / sqrt(max(d_out, d_in)), the factor of the magnitudes of a layer."""
        return self.K / math.sqrt(max(d_out, d_in))

    @property
    @abstractmethod
    def std(self) -> float:
        """Standard deviation of a weight in units of the layer's scale."""

    @staticmethod
    @abstractmethod
    def magnitude(u: float, complement: float) -> float:
        """Return the |weight| / scale whose distribution function is u; ``complement`` is 1 - u."""

    @staticmethod
    @abstractmethod
    def magnitude_cdf(t: float) -> float:
        """Return P(|weight| / scale <= t)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniform(AbstractDistribution):
    """U[-scale, scale]: the law of Theorem 1."""

    name: ClassVar[str] = "uniform"

    @property
    def std(self) -> float:
        return 1.0 / math.sqrt(3.0)

    @staticmethod
    def magnitude(u: float, complement: float) -> float:
        return u

    @staticmethod
    def magnitude_cdf(t: float) -> float:
        return min(max(t, 0.0), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian(AbstractDistribution):
    """N(0, scale^2)."""

    name: ClassVar[str] = "gaussian"

    @property
    def std(self) -> float:
        return 1.0

    @staticmethod
    def magnitude(u: float, complement: float) -> float:
        return half_normal_quantile(u, complement)

    @staticmethod
    def magnitude_cdf(t: float) -> float:
        return math.erf(t / math.sqrt(2.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace(AbstractDistribution):
    """Laplace law with standard deviation ``scale``."""

    name: ClassVar[str] = "laplace"

    @property
    def std(self) -> float:
        return 1.0

    @staticmethod
    def magnitude(u: float, complement: float) -> float:
        return -0.7071067811865476 * log(complement)

    @staticmethod
    def magnitude_cdf(t: float) -> float:
        return -math.expm1(-math.sqrt(2.0) * t)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rademacher(AbstractDistribution):
    """+scale or -scale with equal chance: all magnitudes tie, so magnitude pruning takes the lowest indices."""

    name: ClassVar[str] = "rademacher"
    is_continuous: ClassVar[bool] = False

    @property
    def std(self) -> float:
        return 1.0

    @staticmethod
    def magnitude(u: float, complement: float) -> float:
        return 1.0

    @staticmethod
    def magnitude_cdf(t: float) -> float:
        return 1.0 if t >= 1.0 else 0.0


DISTRIBUTIONS: tuple[type[AbstractDistribution], ...] = (Uniform, Gaussian, Laplace, Rademacher)
