"""Elementary bounds of the gap for all widths d, s(0) = 0, and the widths from which they are below epsilon for ever.

With l = log(4 L / delta), k = floor(d^(2 (1 - alpha))), q = k / d^2, x = (l + sqrt(l^2 + 2 k l)) / k, p = ceil(log d + l):
sup ||F - f|| <= L Ks^(L-1) A^(L-1) E with probability 1 - delta, where A = K kappa (2 + sqrt(2 l / d)) bounds ||W*_l|| and
||W_l|| (bound G), E = K t sqrt(e / beta) (2 sqrt q + (2 + sqrt 2) sqrt(p / d)) bounds ||Delta_l|| (bound L), t = q (1 + x)
for magnitude pruning of uniform weights (its image under the law's quantile in general, beta = 3) and t = 1 for random
masks. At most 4 L events of e^(-l) each. Derived here.
"""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass

from simprune.model.distributions import AbstractDistribution
from simprune.model.layers import MAX_WIDTH
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule, n_pruned_for_alpha
from simprune.theory.laws import UNIFORM, moment_law
from simprune.theory.order_statistics import chernoff_excess


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedForm:
    """The formula for one depth, law, rule and delta; ``lipschitz`` is the activation's constant Ks."""

    depth: int
    law: AbstractDistribution
    is_random: bool
    alpha: float
    lipschitz: float
    delta: float

    def gap(self, d: int) -> float:
        """Return the bound at width d, infinite where the threshold has no bound.

        >>> from simprune.model.distributions import Uniform
        >>> form = ClosedForm(depth=2, law=Uniform(), is_random=False, alpha=0.5, lipschitz=1.0, delta=0.05)
        >>> round(form.gap(256), 5)
        0.01041
        """
        k = n_pruned_for_alpha(d * d, self.alpha)
        return self._gap(d, k / (d * d), k, math.ceil(math.log(d) + self._log))

    def envelope(self, d: int) -> float:
        """Return a bound of ``gap(d')`` for all d' >= d: no floors, q <= d^(-2 alpha), and every factor falls in d."""
        power = d ** (2.0 * (1.0 - self.alpha))
        return self._gap(d, d ** (-2.0 * self.alpha), max(power - 1.0, 1.0), math.log(d) + self._log + 1.0)

    def width(self, epsilon: float) -> int | None:
        """Return the least d with ``envelope(d)`` <= epsilon: the bound holds for all widths from there on."""
        found = bisect.bisect_left(range(2, MAX_WIDTH), True, key=lambda d: self.envelope(d) <= epsilon) + 2
        return found if found < MAX_WIDTH else None

    @property
    def _log(self) -> float:
        return math.log(4.0 * self.depth / self.delta)

    def _gap(self, d: int, q: float, count: float, order: float) -> float:
        known = moment_law(self.law)
        assert known.kappa is not None
        beta, top = known.plain_beta, 1.0
        if not self.is_random:
            share = q * (1.0 + chernoff_excess(count, self._log))
            bounded = known is UNIFORM
            if share >= 1.0 and not bounded:
                return math.inf
            top, beta = share if bounded else self.law.magnitude(share, 1.0 - share), UNIFORM.plain_beta
        dense = self.law.K * known.kappa * (2.0 + math.sqrt(2.0 * self._log / d))
        tail = 2.0 * math.sqrt(q) + (2.0 + math.sqrt(2.0)) * math.sqrt(order / d)
        sparse = self.law.K * top * math.sqrt(math.e / beta) * tail
        return self.depth * self.lipschitz ** (self.depth - 1) * dense ** (self.depth - 1) * sparse


def closed_form(network: NetworkSpec, rule: AbstractPruningRule, *, delta: float) -> ClosedForm | None:
    """Return the closed form of a network's depth, law and activation, None where none is derived.

    Needed: s(0) = 0, one alpha, a sub-Gaussian law, and for magnitude pruning a continuous one.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> round(closed_form(net, pruning.MagnitudePruning(alpha=0.5), delta=0.05).gap(64), 4)
    0.1062
    """
    law = network.distribution
    if network.chain is not None or rule.whole_rows:
        return None
    if law is None or network.activation.value_at_zero or not isinstance(rule.alpha, float):
        return None
    if moment_law(law).kappa is None or not (rule.is_random or law.is_continuous):
        return None
    return ClosedForm(
        depth=network.depth,
        law=law,
        is_random=rule.is_random,
        alpha=rule.alpha,
        lipschitz=network.activation.lipschitz,
        delta=delta,
    )


def sufficient_width(form: ClosedForm, epsilon: float) -> int | None:
    """Return the least power of two that meets the one-line condition, for magnitude pruning of uniform weights.

    d >= (19.3 L (2.14 Ks K)^(L-1) K sqrt(log d + l + 1) / epsilon)^(1/nu), nu = min(3 alpha, 2 alpha + 1/2), d >= l and
    k >= l: the closed form with its factors replaced by constants (A <= 2.14 K, x <= 2.74). Derived here.

    >>> from simprune.model.distributions import Uniform
    >>> form = ClosedForm(depth=2, law=Uniform(), is_random=False, alpha=0.5, lipschitz=1.0, delta=0.05)
    >>> sufficient_width(form, 0.1)
    256
    """
    if form.is_random or moment_law(form.law) is not UNIFORM:
        return None
    log, exponent = math.log(4.0 * form.depth / form.delta), min(3.0 * form.alpha, 2.0 * form.alpha + 0.5)
    scale = 19.3 * form.depth * (2.14 * form.lipschitz * form.law.K) ** (form.depth - 1) * form.law.K / epsilon

    def enough(d: int) -> bool:
        root = math.sqrt(math.log(d) + log + 1.0)
        counted = n_pruned_for_alpha(d * d, form.alpha) >= log
        return d >= log and counted and exponent * math.log(d) >= math.log(scale * root)

    return _first_power(enough)


def _first_power(holds: Callable[[int], bool]) -> int | None:
    return next((1 << power for power in range(1, MAX_WIDTH.bit_length()) if holds(1 << power)), None)
