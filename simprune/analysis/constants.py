"""The constant of Theorem 1's form that the rows allow. FITTED: it holds for these rows and proves nothing.

Theorem 1 asks for d >= max{C1^(1/alpha), (C2 / epsilon)^(1/alpha), (C3 / delta)^(1/alpha), C4 + C5 log(1 / delta)} and
its source publishes no C1..C5. At one delta, and with C1 = C3 = C4 = C5 = 0, the least C2 that the widths of a family
allow is max over d of d^alpha times the 1 - delta quantile of the gap.
"""

from collections.abc import Sequence

from simprune.analysis.promises import PointPromise
from simprune.analysis.summary import FamilySummary, FittedConstant, PointSummary


def fitted_constants(
    exponents: Sequence[FamilySummary], points: Sequence[PointSummary], *, delta: float
) -> tuple[FittedConstant, ...]:
    """Return the constant of every family that Theorem 1 covers."""
    found = []
    for family in exponents:
        promises = [points[i].promise for i in family.points]
        known = [promise for promise in promises if isinstance(promise, PointPromise)]
        if family.theorem1 is None or len(known) < len(promises):
            continue
        powers = [d**family.theorem1 for d in family.widths]
        lower = [promise.attained.value for promise in known]
        upper = [promise.certified.value if promise.certified else None for promise in known]
        least, most = _largest(powers, lower), _largest(powers, upper)
        if least is not None:
            own = FittedConstant(
                points=family.points, widths=family.widths, alpha=family.theorem1, delta=delta, lower=least, upper=most
            )
            found.append(own)
    return tuple(found)


def _largest(powers: Sequence[float], quantiles: Sequence[float | None]) -> float | None:
    known = [power * value for power, value in zip(powers, quantiles, strict=True) if value is not None]
    return max(known) if len(known) == len(powers) else None
