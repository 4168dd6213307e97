"""How many weights may go for a given epsilon: bisection on nested masks, each answer a bracketed gap.

The masks of a rule and seed are nested in the count k. The certificate of k + 1 weights may be below that of k, so what
bisection finds need not be the largest certified count; but the count that it names is certified itself, and the next one
was tried and was not. The same holds for attained counts.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from simprune.backends.explicit import ExplicitOps
from simprune.backends.explicit_pair import Ball, ExplicitPair
from simprune.bracket.gap import (
    GapMethod,
    attained_gap,
    ball,
    cheap_certificates,
    semidefinite_gap,
    takes_semidefinite,
)
from simprune.bracket.masks import prune_masks, rule_with_counts, spec_of
from simprune.model.activations import AbstractActivation
from simprune.model.errors import InputError
from simprune.trained.formats import masked
from simprune.trained.network import TrainedNetwork

RULES = ("magnitude", "random")
BUDGET_FLOPS = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be pruned in one way, from the layers ``layers`` (0-based); counts hold one number a layer of the network.

    ``certified`` counts have a certified gap ``upper`` <= epsilon. ``attained`` counts have an attained gap ``lower`` >
    epsilon (None where even all weights gone does not reach it); the true limit lies between.
    """

    name: str
    layers: tuple[int, ...]
    sizes: tuple[int, ...]
    certified: tuple[int, ...]
    upper: float
    attained: tuple[int, ...] | None
    lower: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True, eq=False)
class Budget:
    """A network, epsilon and a rule, with the answers as they are asked for.

    A budget takes some fifty certificates, so that "auto" takes the semidefinite one up to 1e11 operations only.
    """

    network: TrainedNetwork
    epsilon: float
    rule: str = "magnitude"
    radius: float = 1.0
    center: Any = None
    activation: AbstractActivation | None = None
    method: GapMethod = field(default_factory=lambda: GapMethod(most_flops=BUDGET_FLOPS))
    _seen: dict[tuple[int, ...], ExplicitOps] = field(default_factory=dict, init=False)
    _uppers: dict[tuple[int, ...], float] = field(default_factory=dict, init=False)
    _lowers: dict[tuple[int, ...], float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        if not 0.0 < self.epsilon < np.inf:
            raise InputError(f"epsilon must be positive and finite, got {self.epsilon}; it is the gap that is allowed")
        if self.rule not in RULES:
            raise InputError(f"rule must be one whose masks are nested ({' or '.join(RULES)}), got '{self.rule}'; take one")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of weights of every layer."""
        return tuple(w.size for w in self.network.weights)

    def lines(self) -> list[Allowance]:
        """Return every layer alone, all with equal shares, and all in proportion to what they allow alone."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1, user_api="blas"):
            alone = [self.alone(layer) for layer in self._all]
            return [*alone, self.equal_share(), self.proportional(alone)] if len(alone) > 1 else alone

    def alone(self, layer: int) -> Allowance:
        """Return what may go from one layer, all others whole."""
        zeros = (0,) * len(self.sizes)
        counts_of = lambda k: (*zeros[:layer], k, *zeros[layer + 1 :])  # noqa: E731
        return self.largest(f"layer {layer}", (layer,), self.sizes[layer], counts_of)

    def equal_share(self) -> Allowance:
        """Return what may go with the same share of every layer (counts rounded down)."""
        top = max(self.sizes)
        return self.largest("all, equal share", self._all, top, lambda k: tuple(k * size // top for size in self.sizes))

    def proportional(self, alone: Sequence[Allowance]) -> Allowance:
        """Return what may go with every layer at the same share of what is certified for it alone."""
        most = [line.certified[layer] for layer, line in enumerate(alone)]
        scale = max(*most, 1)
        top = max((-(-size * scale // m) for size, m in zip(self.sizes, most, strict=True) if m), default=0)
        pairs = list(zip(self.sizes, most, strict=True))
        return self.largest("all, as alone", self._all, top, lambda k: tuple(min(k * m // scale, size) for size, m in pairs))

    def largest(
        self, name: str, layers: tuple[int, ...], top: int, counts_of: Callable[[int], tuple[int, ...]]
    ) -> Allowance:
        """Return the answers of one family of nested masks, k in 0..top."""
        certified = _bisect(0, top, lambda k: self.upper(counts_of(k)) <= self.epsilon)
        not_attained = _bisect(certified, top, lambda k: self.lower(counts_of(k)) <= self.epsilon)
        attained = None if not_attained == top else counts_of(not_attained + 1)
        return Allowance(
            name=name,
            layers=layers,
            sizes=self.sizes,
            certified=counts_of(certified),
            upper=self.upper(counts_of(certified)),
            attained=attained,
            lower=None if attained is None else self.lower(attained),
        )

    @property
    def _all(self) -> tuple[int, ...]:
        return tuple(range(len(self.sizes)))

    def upper(self, counts: tuple[int, ...]) -> float:
        """Return the certified gap of counts: the dear certificate only where the cheap one does not do."""
        if counts not in self._uppers:
            ops = self._ops(counts)
            bound = min(cheap_certificates(ops).values())
            if bound > self.epsilon and takes_semidefinite(ops, self.method):
                bound = min(bound, semidefinite_gap(ops))
            self._uppers[counts] = bound
        return self._uppers[counts]

    def lower(self, counts: tuple[int, ...]) -> float:
        """Return the attained gap of counts, less its rounding error bound."""
        if counts not in self._lowers:
            gap, noise, _, _ = attained_gap(self._ops(counts), self.method)
            self._lowers[counts] = max(gap - noise, 0.0)
        return self._lowers[counts]

    @cached_property
    def _ball(self) -> Ball:
        return ball(self._pair(self.network), center=self.center, radius=self.radius)

    def _pair(self, pruned: TrainedNetwork) -> ExplicitPair:
        return ExplicitPair.of(self.network, pruned, activation=spec_of(self.network, self.activation).activation)

    def _ops(self, counts: tuple[int, ...]) -> ExplicitOps:
        if counts not in self._seen:
            self._seen.clear()
            masks = prune_masks(self.network, rule_with_counts(self.rule, counts, self.network), seed=self.method.seed)
            pair = self._pair(masked(self.network, masks))
            self._seen[counts] = ExplicitOps(pair=pair, ball=self._ball, seed=self.method.seed)
        return self._seen[counts]


def _bisect(low: int, top: int, holds: Callable[[int], bool]) -> int:
    """Return a k >= low in low..top with k == low or holds(k), and k == top or not holds(k + 1)."""
    if top <= low or holds(top):
        return top
    high = top
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low
