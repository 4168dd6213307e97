"""Results with known laws: thresholds from the exact Beta law, gaps that are power laws of the width times noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import AbstractActivation, ReLU
from simprune.model.distributions import AbstractDistribution, Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import AbstractPruningRule, MagnitudePruning
from simprune.records import Ranges, Status, TrialTable
from simprune.theory.order_statistics import ThresholdLaw
from simprune.trained.network import TrainedNetwork


def make_point(
    widths: tuple[int, ...],
    *,
    rule: AbstractPruningRule | None = None,
    activation: AbstractActivation | None = None,
    law: AbstractDistribution | None = None,
    precision: str = "float64",
    seed: int = 1,
) -> Point:
    network = NetworkSpec(
        widths=widths, activation=activation or ReLU(), target=SampledTarget(distribution=law or Uniform())
    )
    estimators = (Ascent(restarts=8), Spectral())
    return Point(
        network=network,
        rule=rule or MagnitudePruning(alpha=0.3),
        estimators=estimators,
        seed=seed,
        precision=precision,
    )


def make_table(
    point: Point, n: int, *, exponent: float = 0.9, spread: float = 0.2, certified: int | None = None, shift: int = 0
) -> TrialTable:
    """Rows whose median attained gap is ``d_1 ** -exponent`` and whose certified gap is 2.5 times the attained one."""
    rng = np.random.default_rng(int(point.digest()[:12], 16))
    depth, network = point.network.depth, point.network
    gap = network.widths[-1] ** -exponent * np.exp(spread * rng.standard_normal(n))
    wanted = np.arange(n) < (n if certified is None else certified)
    thresholds = np.full((n, depth), 0.5)
    if network.distribution is not None and network.distribution.is_continuous and not point.rule.is_random:
        for layer in range(depth):
            law = ThresholdLaw(
                n_weights=network.n_weights[layer],
                n_pruned=point.n_pruned[layer] + shift,
                distribution=network.distribution,
                scale=network.distribution.scale(*network.shapes[layer]),
            )
            thresholds[:, layer] = law.quantile(rng.random(n))
    norms = np.where(wanted[:, None], 1.15 + 0.01 * rng.standard_normal((n, depth)), np.nan)
    columns: dict[str, Any] = {
        "trial": np.arange(n),
        "gap_lower": gap,
        "gap_upper": np.where(wanted, 2.5 * gap, np.inf),
        "output_norm": 1.0 + 0.05 * rng.random(n),
        "noise_floor": np.full(n, 1e-7),
        "status": np.where(wanted, 0, int(Status.NOT_CERTIFIED)),
        "n_pruned": np.tile(np.array(point.n_pruned), (n, 1)),
        "threshold": thresholds,
        "target_norm": norms,
        "pruned_norm": norms,
        "delta_norm": norms,
    }
    return TrialTable(point=point, columns=columns)


@dataclass(kw_only=True)
class SyntheticResults:
    tables: tuple[TrialTable, ...]
    name: str = "synthetic"
    trials: int = 1000
    epsilons: tuple[float, ...] = ()
    delta: float = 0.05
    failed: tuple[Any, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    stops: tuple[Any, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    reads: list[Point] = field(default_factory=list)
    chunk: int = 1000

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(table.point for table in self.tables)

    def digest(self, point: Point) -> str:
        return point.digest()

    def completed(self, point: Point) -> Ranges:
        return ((0, next(table for table in self.tables if table.point == point).n_trials),)

    def chunks(self, point: Point, *, only: Sequence[str]) -> Iterator[TrialTable]:
        self.reads.append(point)
        table = next(table for table in self.tables if table.point == point)
        for first in range(0, table.n_trials, self.chunk):
            yield TrialTable(point=point, columns={name: table[name][first : first + self.chunk] for name in only})

    def trained(self, point: Point) -> TrainedNetwork | None:
        return None

    def table(self, point: Point, *, only: Sequence[str] | None = None) -> TrialTable:
        self.reads.append(point)
        return next(table for table in self.tables if table.point == point)
