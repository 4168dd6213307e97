"""Measured thresholds against their exact Beta law: Kolmogorov-Smirnov, every layer of every point that has one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from simprune.design.point import Point
from simprune.theory.order_statistics import ThresholdLaw

Doubles = npt.NDArray[np.float64]

EXACT_ROWS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdTest:
    """Kolmogorov-Smirnov test of one layer (0-based) of one point.

    ``allowance`` is what rounding and the grid of random keys may add to the statistic; it is taken off before
    ``p_value``, which is never too small. ``adjusted`` is Holm's p-value over all tests of the summary.
    """

    point: int
    layer: int
    n_rows: int
    mean: float
    standard_error: float
    expected_mean: float
    statistic: float
    allowance: float
    p_value: float
    adjusted: float = math.nan
    rejected: bool = False


def ks_statistic(cdf_values: Doubles) -> float:
    """Return sup |F_n - F| from the values of the exact F at the sample, in any order."""
    ordered = np.sort(cdf_values)
    n = len(ordered)
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))


def ks_p_value(statistic: float, n: int) -> float:
    """Return twice the exact one-sided P(D_n+ > statistic), an upper bound of the two-sided p-value.

    Both sides exceed together so rarely that the bound is 1.5 % too large at p = 0.5 and 0.002 % at p = 0.05. Above
    5000 rows the closed form exp(-(6 n d + 1)^2 / (18 n)) of the one-sided law is used, within 0.1 % for p > 0.001.
    """
    if statistic <= 0.0:
        return 1.0
    if n <= EXACT_ROWS:
        return min(1.0, 2.0 * float(special.smirnov(n, min(statistic, 1.0))))
    return min(1.0, 2.0 * math.exp(-((6.0 * n * statistic + 1.0) ** 2) / (18.0 * n)))


def threshold_law(point: Point, layer: int) -> ThresholdLaw | str:
    """Return the exact law of a layer's threshold, or the reason why there is none."""
    law = point.network.distribution
    if point.rule.score != "weight":
        return "masks that do not depend on the weights have no magnitude threshold law"
    if law is None:
        return "a trained network's weights are fixed, so its threshold is one number"
    if not law.is_continuous:
        return f"all magnitudes of the {law.name} law tie"
    n_weights, n_pruned = point.network.n_weights[layer], point.n_pruned[layer]
    if n_pruned == n_weights:
        return "nothing is kept"
    return ThresholdLaw(n_weights=n_weights, n_pruned=n_pruned, distribution=law, scale=point.network.scales[layer])


def threshold_tests(point: Point, rows: Doubles, *, index: int) -> tuple[ThresholdTest, ...]:
    """Return the tests of all layers of a point; ``rows`` holds thresholds, ``[n_rows, depth]``."""
    tests = []
    for layer in range(point.network.depth):
        law = threshold_law(point, layer)
        if isinstance(law, str) or not len(rows):
            continue
        statistic = ks_statistic(law.cdf(rows[:, layer]))
        allowance = law.rounding_distance(point.precision)
        tests.append(
            ThresholdTest(
                point=index,
                layer=layer,
                n_rows=len(rows),
                mean=float(rows[:, layer].mean()),
                standard_error=float(rows[:, layer].std() / math.sqrt(len(rows))),
                expected_mean=law.mean,
                statistic=statistic,
                allowance=allowance,
                p_value=ks_p_value(statistic - allowance, len(rows)),
            )
        )
    return tuple(tests)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values: rejecting those <= e keeps the chance of any false alarm <= e, dependent or not.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = worst
    return tuple(adjusted)


def judged(tests: Sequence[ThresholdTest], *, error: float) -> tuple[ThresholdTest, ...]:
    """Return the tests with Holm's p-values and verdicts at family-wise false-alarm rate ``error``."""
    adjusted = holm([test.p_value for test in tests])
    return tuple(replace(test, adjusted=p, rejected=p <= error) for test, p in zip(tests, adjusted, strict=True))
