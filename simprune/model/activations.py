"""Activation functions: scalar value, exact finite difference, derivative, and what the bounds need of them.

Every scalar takes ``(z, ..., parameter)`` and uses Python arithmetic only, so that the same source runs in plain
Python, in the reference backend and, compiled, in the others.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from simprune.model.errors import InputError
from simprune.model.registry import Registered
from simprune.model.scalars import tanh


class AbstractActivation(Registered, ABC):
    """A componentwise Lipschitz function."""

    __slots__ = ()
    is_linear: ClassVar[bool] = False
    nondecreasing: ClassVar[bool] = False

    @property
    @abstractmethod
    def lipschitz(self) -> float:
        """Smallest Lipschitz constant."""

    @property
    def value_at_zero(self) -> float:
        """Value at 0; the theorem's rate needs 0 (README, "Where the theory stops")."""
        return 0.0

    @property
    def bound(self) -> float:
        """Supremum of the absolute value, infinite if there is none."""
        return math.inf

    @property
    def curvature(self) -> float:
        """Bound of |s''|, 0 if s is linear, infinite if s is linear on both sides of a kink at 0."""
        return math.inf

    @property
    def third_bound(self) -> float:
        """Bound of |s'''|, infinite where s has a kink."""
        return 0.0 if self.is_linear else math.inf

    @property
    def parameter(self) -> float:
        """The one number the scalars may depend on."""
        return 0.0

    @staticmethod
    @abstractmethod
    def scalar(z: float, parameter: float) -> float:
        """Return s(z)."""

    @staticmethod
    @abstractmethod
    def difference(z: float, dz: float, parameter: float) -> float:
        """Return s(z + dz) - s(z) without cancellation."""

    @staticmethod
    @abstractmethod
    def derivative(z: float, parameter: float) -> float:
        """Return s'(z), the left derivative at a kink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(AbstractActivation):
    """s(z) = z: a linear network, whose gap is a largest singular value."""

    name: ClassVar[str] = "identity"
    nondecreasing: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True

    @property
    def lipschitz(self) -> float:
        return 1.0

    @property
    def curvature(self) -> float:
        return 0.0

    @staticmethod
    def scalar(z: float, parameter: float) -> float:
        return z

    @staticmethod
    def difference(z: float, dz: float, parameter: float) -> float:
        return dz

    @staticmethod
    def derivative(z: float, parameter: float) -> float:
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReLU(AbstractActivation):
    """s(z) = max(z, 0)."""

    name: ClassVar[str] = "relu"
    nondecreasing: ClassVar[bool] = True

    @property
    def lipschitz(self) -> float:
        return 1.0

    @staticmethod
    def scalar(z: float, parameter: float) -> float:
        return z if z > 0.0 else 0.0 * parameter

    @staticmethod
    def difference(z: float, dz: float, parameter: float) -> float:
        moved = z + dz
        if moved > 0.0:
            return dz if z > 0.0 else moved
        return -z if z > 0.0 else 0.0 * parameter

    @staticmethod
    def derivative(z: float, parameter: float) -> float:
        return 1.0 if z > 0.0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyReLU(AbstractActivation):
    """s(z) = z for z > 0, slope * z otherwise."""

    name: ClassVar[str] = "leaky_relu"
    nondecreasing: ClassVar[bool] = True
    slope: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 <= self.slope <= 1.0:
            raise InputError(f"slope of leaky_relu must lie in [0, 1], got {self.slope}; use 0 for relu, 1 for identity")

    @property
    def lipschitz(self) -> float:
        return 1.0

    @property
    def parameter(self) -> float:
        return self.slope

    @staticmethod
    def scalar(z: float, parameter: float) -> float:
        return z if z > 0.0 else parameter * z

    @staticmethod
    def difference(z: float, dz: float, parameter: float) -> float:
        moved = z + dz
        if moved > 0.0:
            return dz if z > 0.0 else moved - parameter * z
        return parameter * moved - z if z > 0.0 else parameter * dz

    @staticmethod
    def derivative(z: float, parameter: float) -> float:
        return 1.0 if z > 0.0 else parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh(AbstractActivation):
    """s(z) = tanh(z)."""

    name: ClassVar[str] = "tanh"
    nondecreasing: ClassVar[bool] = True

    @property
    def lipschitz(self) -> float:
        return 1.0

    @property
    def bound(self) -> float:
        return 1.0

    @property
    def curvature(self) -> float:
        return 0.7698003589195011

    @property
    def third_bound(self) -> float:
        return 2.0

    @staticmethod
    def scalar(z: float, parameter: float) -> float:
        return tanh(z)

    @staticmethod
    def difference(z: float, dz: float, parameter: float) -> float:
        return tanh(dz) * (1.0 - tanh(z) * tanh(z + dz))

    @staticmethod
    def derivative(z: float, parameter: float) -> float:
        t = tanh(z)
        return 1.0 - t * t


class AbstractSigmoid(AbstractActivation):
    """s(z) = 1 / (1 + exp(-z)) up to a constant; Lipschitz 1/4."""

    __slots__ = ()
    nondecreasing: ClassVar[bool] = True

    @property
    def lipschitz(self) -> float:
        return 0.25

    @property
    def curvature(self) -> float:
        return 0.09622504486493764

    @property
    def third_bound(self) -> float:
        return 0.125

    @staticmethod
    def difference(z: float, dz: float, parameter: float) -> float:
        return 0.5 * tanh(0.5 * dz) * (1.0 - tanh(0.5 * z) * tanh(0.5 * (z + dz)))

    @staticmethod
    def derivative(z: float, parameter: float) -> float:
        t = tanh(0.5 * z)
        return 0.25 * (1.0 - t * t)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid(AbstractSigmoid):
    """s(z) = 1 / (1 + exp(-z)); 1/2 at 0."""

    name: ClassVar[str] = "sigmoid"

    @property
    def value_at_zero(self) -> float:
        return 0.5

    @property
    def bound(self) -> float:
        return 1.0

    @staticmethod
    def scalar(z: float, parameter: float) -> float:
        return 0.5 + 0.5 * tanh(0.5 * z)


@dataclass(frozen=True, slots=True, kw_only=True)
class CentredSigmoid(AbstractSigmoid):
    """s(z) = 1 / (1 + exp(-z)) - 1/2: the sigmoid with value 0 at 0, as the theorem needs."""

    name: ClassVar[str] = "centred_sigmoid"

    @property
    def bound(self) -> float:
        return 0.5

    @staticmethod
    def scalar(z: float, parameter: float) -> float:
        return 0.5 * tanh(0.5 * z)


ACTIVATIONS: tuple[type[AbstractActivation], ...] = (Identity, ReLU, LeakyReLU, Tanh, Sigmoid, CentredSigmoid)
