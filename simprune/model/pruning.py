"""Pruning rules: which weights go, and the one place where their number is computed.

Every rule prunes the weights with the smallest score; ties go to the lower flat index.
"""

import math
from abc import ABC
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from typing import ClassVar

from simprune.model.errors import InputError
from simprune.model.registry import Registered

PerLayer = float | tuple[float, ...]


@cache
def n_pruned_for_alpha(n_weights: int, alpha: float) -> int:
    """Return floor(n_weights ** (1 - alpha)) exactly, with alpha taken as the decimal number that it prints as.

    Floating point gets this wrong where the power is an integer: 1024 ** 0.7 is 128, floats say 127.99...

    >>> n_pruned_for_alpha(1024, 0.3)
    128
    """
    exponent = 1 - Fraction(str(alpha))
    root = round(n_weights ** (1.0 / exponent.denominator))
    if root**exponent.denominator == n_weights:
        return int(root**exponent.numerator)
    context = Context(prec=80)
    ratio = context.divide(Decimal(exponent.numerator), Decimal(exponent.denominator))
    return int(context.power(Decimal(n_weights), ratio))


@dataclass(frozen=True, slots=True, kw_only=True)
class AbstractPruningRule(Registered, ABC):
    """How many weights of each layer go, as ``alpha`` (n_pruned = floor(D^(1-alpha))) or as ``pruned_fraction``.

    Either is one number for all layers or a tuple with one number a layer.
    """

    alpha: PerLayer | None = None
    pruned_fraction: PerLayer | None = None
    score: ClassVar[str]
    is_random: ClassVar[bool] = False
    exact_count: ClassVar[bool] = True
    whole_rows: ClassVar[bool] = False
    """Whether whole neurons and filters (rows of a kernel as a matrix) go, so that amounts count them."""

    def __post_init__(self) -> None:
        if (self.alpha is None) == (self.pruned_fraction is None):
            raise InputError(f"a {self.name} rule must have either alpha or pruned_fraction, got {_both(self)}; give one")
        for alpha in _each(self.alpha):
            if not 0.0 < alpha < 1.0:
                raise InputError(f"alpha must lie in (0, 1), got alpha={alpha}; alpha is the exponent in floor(D^(1-alpha))")
        for fraction in _each(self.pruned_fraction):
            if not 0.0 <= fraction <= 1.0:
                raise InputError(
                    f"pruned_fraction must lie in [0, 1], got {fraction}; it is the share of weights set to zero"
                )

    def check_depth(self, depth: int) -> None:
        """Refuse a tuple of amounts whose length is not the number of weight matrices."""
        amount = self.alpha if self.pruned_fraction is None else self.pruned_fraction
        if isinstance(amount, tuple) and len(amount) != depth:
            raise InputError(
                f"a {self.name} rule must have one amount for all layers or one for each of the {depth} layers, "
                f"got {len(amount)}; add or remove entries"
            )

    def n_pruned_of(self, shape: tuple[int, int], layer: int) -> int:
        """Return the number of weights that go from layer ``layer`` with a matrix (or kernel) ``(rows, columns)``."""
        rows, columns = shape
        return self.n_pruned(rows, layer) * columns if self.whole_rows else self.n_pruned(rows * columns, layer)

    def n_pruned(self, n_weights: int, layer: int) -> int:
        """Return the number of units (weights, or whole rows) that go from layer ``layer`` (0-based) of ``n_weights``."""
        if self.alpha is not None:
            return n_pruned_for_alpha(n_weights, _at(self.alpha, layer))
        assert self.pruned_fraction is not None
        return math.floor(Fraction(str(_at(self.pruned_fraction, layer))) * n_weights)


def _each(value: PerLayer | None) -> tuple[float, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _at(value: PerLayer, layer: int) -> float:
    return value[layer] if isinstance(value, tuple) else value


def _both(rule: AbstractPruningRule) -> str:
    return f"alpha={rule.alpha} and pruned_fraction={rule.pruned_fraction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MagnitudePruning(AbstractPruningRule):
    """Prune the n_pruned weights of smallest magnitude of every layer."""

    name: ClassVar[str] = "magnitude"
    score: ClassVar[str] = "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomPruning(AbstractPruningRule):
    """Prune a uniformly random subset of exactly n_pruned weights of every layer."""

    name: ClassVar[str] = "random"
    score: ClassVar[str] = "mask"
    is_random: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BernoulliPruning(AbstractPruningRule):
    """Prune each weight on its own with probability n_pruned / D; the count of a trial is random and recorded."""

    name: ClassVar[str] = "bernoulli"
    score: ClassVar[str] = "mask"
    is_random: ClassVar[bool] = True
    exact_count: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterMagnitudePruning(AbstractPruningRule):
    """Prune the filters (of a matrix: the neurons, its rows) of smallest Euclidean norm of every layer; biases stay.

    The theory's non-vanishing case: a pruned row has norm about K sqrt(d_in / max(d_out, d_in)) std, for any choice. Norms
    are compared in float64, so backends whose weights differ in the last bit may rank near ties differently.
    """

    name: ClassVar[str] = "filter_magnitude"
    score: ClassVar[str] = "row"
    whole_rows: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRandomPruning(AbstractPruningRule):
    """Prune a uniformly random subset of the filters (of a matrix: the neurons) of every layer; non-vanishing as well."""

    name: ClassVar[str] = "filter_random"
    score: ClassVar[str] = "mask"
    is_random: ClassVar[bool] = True
    whole_rows: ClassVar[bool] = True


RULES: tuple[type[AbstractPruningRule], ...] = (
    MagnitudePruning,
    RandomPruning,
    BernoulliPruning,
    FilterMagnitudePruning,
    FilterRandomPruning,
)
