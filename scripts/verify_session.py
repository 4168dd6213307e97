"""Sample sizes, and trials computed by simprune's engine and read back from a results folder."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simprune.analysis.summarize import summarize
from simprune.analysis.summary import FamilySummary
from simprune.backends.cpu import CpuBackend
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.engine import run
from simprune.gap.base import AbstractGapEstimator
from simprune.model.activations import AbstractActivation, ReLU
from simprune.model.distributions import AbstractDistribution, Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RULES, AbstractPruningRule
from simprune.records import TrialTable
from simprune.schedulers.base import AbstractScheduler
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.serial import SerialScheduler
from simprune.store.folder import FolderStore
from simprune.store.results import Results, open_results
from simprune.trained.network import TrainedNetwork

ALPHAS = (0.1, 0.3, 0.5, 0.7)
DELTA = 0.05
ALL_RULES = tuple(rule(alpha=alpha) for rule in RULES for alpha in ALPHAS)


@dataclass(frozen=True, slots=True)
class Session:
    """``scale``: share of the full sample sizes; ``largest``: wider layers are left out."""

    scale: float = 1.0
    largest: int = 1 << 40
    workers: int = 1
    seed: int = 1
    scheduler: AbstractScheduler = field(init=False)

    def __post_init__(self) -> None:
        one = self.workers == 1
        object.__setattr__(self, "scheduler", SerialScheduler() if one else DaskScheduler(workers=self.workers))

    def close(self) -> None:
        self.scheduler.close()

    def trials(self, full: int, *, least: int = 2) -> int:
        return max(least, round(full * self.scale))

    def widths(self, *full: int) -> tuple[int, ...]:
        return tuple(d for d in full if d <= self.largest)

    def rows(
        self, points: Sequence[Point], trials: int, *, networks: Mapping[str, TrainedNetwork] | None = None
    ) -> list[TrialTable]:
        """Return the rows of every point, ``trials`` each."""
        design = Design(cells=tuple(points), trials=trials, networks=networks or {})
        with tempfile.TemporaryDirectory(prefix="simprune-verify-") as folder:
            results = self._computed(design, Path(folder) / "results")
            return [results.table(point) for point in points]

    def families(self, points: Sequence[Point], trials: int) -> tuple[list[TrialTable], tuple[FamilySummary, ...]]:
        """Return the rows and the exponents that the analysis fits to them."""
        with tempfile.TemporaryDirectory(prefix="simprune-verify-") as folder:
            results = self._computed(Design(cells=tuple(points), trials=trials), Path(folder) / "results")
            return [results.table(point) for point in points], summarize(results, levels=(0.5,)).exponents

    def _computed(self, design: Design, folder: Path) -> Results:
        with FolderStore.open(folder, design, provenance={"backend": CpuBackend.name}) as store:
            report = run(design, backend=CpuBackend(), scheduler=self.scheduler, store=store)
        if not report.complete:
            raise SystemExit(f"error: {report.n_missing} rows could not be computed: {report.failed}")
        return open_results(folder, trusted=True)

    def point(
        self,
        widths: Sequence[int],
        rule: AbstractPruningRule,
        *estimators: AbstractGapEstimator,
        law: AbstractDistribution | None = None,
        activation: AbstractActivation | None = None,
        precision: str = "float32",
    ) -> Point:
        target = SampledTarget(distribution=law or Uniform())
        network = NetworkSpec(widths=tuple(widths), activation=activation or ReLU(), target=target)
        return Point(network=network, rule=rule, estimators=estimators, seed=self.seed, precision=precision)
