"""What the theory promises for a point beside what its rows show, and where the difference comes from.

From the attained quantile to the a-priori bound the looseness is a product of factors, one for each step of the proof:
activation (|s(a) - s(b)| <= K |a - b|; what the search misses is in it too), layer product (norms of layers are
multiplied), norms (a bound in place of the sample's norms), union bound (every event gets its share of delta).
"""

import dataclasses
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simprune.analysis.confidence import Proportion, share
from simprune.analysis.estimates import CONFIDENCE, Refused
from simprune.analysis.ordered import Ordered
from simprune.analysis.quantiles import QuantileEstimate, quantile
from simprune.analysis.views import View, is_certified
from simprune.design.point import Point
from simprune.gap.base import LayerNorms
from simprune.gap.spectral import telescoped_gap
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.records import TrialTable
from simprune.theory.bounds import AprioriBound, apriori_bound, gap_without_union
from simprune.theory.closed_form import closed_form
from simprune.theory.linear_twin import product_looseness
from simprune.theory.minimal_width import MinimalWidth, minimal_network_width
from simprune.theory.typical import typical_gap

Doubles = npt.NDArray[np.float64]
ERROR = 1.0 - CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Factors of looseness, each at least about 1; None where one cannot be told (README, "What the theory promises").

    ``activation`` * ``product`` * ``norms`` * ``union`` = a-priori bound / attained quantile. ``closed_form``: elementary
    bound / a-priori bound.
    """

    activation: float | None
    product: float | None
    norms: float | None
    union: float | None
    closed_form: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthAsked:
    """The minimal width that promises ``epsilon`` at the same depth, law, activation and rule."""

    epsilon: float
    minimal: MinimalWidth


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPromise:
    """Quantiles of level 1 - delta of the rows beside the bounds at delta.

    ``attained`` of gap_lower, ``certified`` of gap_upper, ``product`` of the plain product of the sample's layer norms
    (the last two over certified rows, None without). ``exceeded``: share of certified rows above the a-priori bound, at
    least the share of gaps above it; ``exceeded_surely``: share of rows whose attained gap is above it.
    """

    delta: float
    attained: QuantileEstimate
    certified: QuantileEstimate | None
    product: QuantileEstimate | None
    bound: float
    largest_gap: float
    vacuous: bool
    closed_form: float | None
    typical: float | None
    exceeded: Proportion
    exceeded_surely: Proportion
    ledger: Ledger
    widths: tuple[WidthAsked, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """Evaluates points at one delta; minimal widths of points that differ only in width are found once."""

    delta: float
    _widths: dict[tuple[NetworkSpec, AbstractPruningRule, bool, float], MinimalWidth] = field(default_factory=dict)

    def of(
        self, point: Point, lower: Ordered, upper: Ordered, products: Ordered, *, epsilons: tuple[float, ...]
    ) -> PointPromise | Refused:
        """Return the promise of a point from its gaps and its products of norms (``product_view``) in ascending order."""
        network, rule = point.network, point.rule
        if network.distribution is None:
            return Refused(reason="the weights are fixed: the theory is about random ones")
        level = 1.0 - self.delta
        bound = apriori_bound(network, rule, delta=self.delta)
        form = closed_form(network, rule, delta=self.delta)
        square = len(set(network.widths)) == 1
        formula = form.gap(network.widths[0]) if form and square else math.inf
        elementary = formula if math.isfinite(formula) else None
        asked = epsilons if network.chain is None else ()
        attained = quantile(lower, level, error=ERROR)
        product = quantile(products, level, error=ERROR) if len(products) else None
        return PointPromise(
            delta=self.delta,
            attained=attained,
            certified=quantile(upper, level, error=ERROR) if len(upper) else None,
            product=product,
            bound=bound.gap,
            largest_gap=bound.largest_gap,
            vacuous=bound.is_vacuous,
            closed_form=elementary,
            typical=typical_gap(network, rule),
            exceeded=_above(upper, bound.gap),
            exceeded_surely=_above(lower, bound.gap),
            ledger=_ledger(network, rule, bound, attained.value, product.value if product else None, elementary),
            widths=tuple(WidthAsked(epsilon=e, minimal=self._width(network, rule, e)) for e in asked if e > 0.0),
        )

    def _width(self, network: NetworkSpec, rule: AbstractPruningRule, epsilon: float) -> MinimalWidth:
        fixed = len(set(network.widths)) > 1
        ends = (network.widths[0], network.widths[-1]) if fixed else (1, 1)
        alike = dataclasses.replace(network, widths=(ends[0], *(1,) * (network.depth - 1), ends[1]))
        key = (alike, rule, fixed, epsilon)
        if key not in self._widths:
            grows = fixed and network.depth > 1
            self._widths[key] = minimal_network_width(network, rule, epsilon=epsilon, delta=self.delta, fixed_ends=grows)
        return self._widths[key]


def product_view(network: NetworkSpec) -> View:
    """Return the plain product of layer norms of every certified row."""
    norms = ("target_norm", "pruned_norm", "delta_norm")

    def product(table: TrialTable) -> Doubles:
        certified = is_certified(table)
        target, pruned, delta = (table[name][certified] for name in norms)
        gaps = telescoped_gap(network, LayerNorms(target=target, pruned=pruned, delta=delta), (0.0,) * network.depth)
        return gaps[np.isfinite(gaps)]

    return View(needs=(*norms, "status"), values=product)


def _above(ordered: Ordered, bound: float) -> Proportion:
    n = len(ordered)
    return share(n - int(ordered.searchsorted(bound, side="right")), n, error=ERROR)


def _ledger(
    network: NetworkSpec,
    rule: AbstractPruningRule,
    bound: AprioriBound,
    attained: float | None,
    product: float | None,
    elementary: float | None,
) -> Ledger:
    single = gap_without_union(network, rule, bound)
    aligned = product_looseness(network, rule)
    rest = _ratio(product, attained)
    return Ledger(
        activation=_ratio(rest, aligned),
        product=aligned,
        norms=_ratio(single, product),
        union=_ratio(bound.gap, single),
        closed_form=_ratio(elementary, bound.gap),
    )


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
