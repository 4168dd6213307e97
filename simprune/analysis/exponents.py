"""Fitted exponents beside the theory's, family by family, keeping only what unfinished families still need."""

from collections.abc import Sequence

from simprune.analysis.estimates import Refused
from simprune.analysis.families import Family, families
from simprune.analysis.ordered import Ordered
from simprune.analysis.scaling import QuantileSample, fit_exponent, quantile_sample
from simprune.analysis.summary import FamilySummary, LevelFit
from simprune.design.point import Point
from simprune.theory.exponents import gap_exponents

Samples = dict[tuple[str, float], QuantileSample | Refused]


class ExponentLaboratory:
    """Takes the ordered gaps of the points one by one and fits every family once its points have all come."""

    def __init__(self, points: Sequence[Point], levels: tuple[float, ...]) -> None:
        self._points = points
        self._levels = levels
        self._families = families(points)
        self._samples: dict[int, Samples] = {}
        self._seen: set[int] = set()
        self._done: dict[int, FamilySummary] = {}

    def reading_order(self) -> tuple[int, ...]:
        """Return all points, families together, so that few samples are held at once."""
        return tuple(dict.fromkeys([i for f in self._families for i in f.members] + list(range(len(self._points)))))

    def samples(self, index: int, lower: Ordered, upper: Ordered) -> Samples:
        """Return what the fits need of the ascending attained and certified gaps of a point."""
        if not any(index in family.members for family in self._families):
            return {}
        key = self._points[index].digest()
        sides = {"lower": lower, "upper": upper}
        return {
            (side, level): quantile_sample(values, level, key=key)
            for side, values in sides.items()
            for level in self._levels
        }

    def add(self, index: int, samples: Samples) -> None:
        """Take the samples of a point."""
        concerned = [n for n, family in enumerate(self._families) if index in family.members]
        if not concerned:
            return
        self._seen.add(index)
        self._samples[index] = samples
        for n in concerned:
            if self._seen.issuperset(self._families[n].members):
                self._done[n] = self._fit(self._families[n])
        waiting = {i for n, family in enumerate(self._families) if n not in self._done for i in family.members}
        self._samples = {i: sample for i, sample in self._samples.items() if i in waiting}

    def held(self) -> int:
        """Return the number of points whose samples wait for a family to be complete."""
        return len(self._samples)

    def summaries(self) -> tuple[FamilySummary, ...]:
        """Return the families whose points have all come, in the order of their first point."""
        order = sorted(self._done, key=lambda n: self._families[n].members)
        return tuple(self._done[n] for n in order)

    def _fit(self, family: Family) -> FamilySummary:
        point = self._points[family.members[0]]
        known = gap_exponents(point.network, point.rule, growing=family.growing)
        fits = tuple(
            LevelFit(
                side=side,
                level=level,
                fit=fit_exponent(family.widths, [self._samples[i][side, level] for i in family.members]),
            )
            for side in ("lower", "upper")
            for level in self._levels
        )
        return FamilySummary(
            points=family.members,
            widths=family.widths,
            pattern=family.pattern,
            theorem1=known.theorem1,
            sharp=known.sharp,
            latala=known.latala,
            regime=known.regime,
            fits=fits,
        )
