"""Quantiles beyond the data: a generalised Pareto law fitted to the largest values, or a refusal that says why not.

Extrapolated: nothing in the data proves that the law goes on beyond them. In simulations (normal, lognormal, Weibull, beta
and Pareto laws) the 95 % intervals covered in 86 to 98 % of samples; most misses lie above the interval.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.analysis.estimates import CONFIDENCE, Interval, Refused
from simprune.analysis.ordered import Ordered
from simprune.analysis.pareto import fit_p_values, fit_pareto, pareto_quantile
from simprune.analysis.quantiles import QuantileEstimate, quantile

Doubles = npt.NDArray[np.float64]

SHARE, MOST = 10, 500
"""The largest tenth of the rows, at most 500 of them, may be tail: a larger share biases the extrapolation."""
THINNED = (1.0, 0.75, 0.5, 0.35, 0.25)
LEAST_FITTED, LEAST_SHOWN = 100, 50
FARTHEST = 0.1
"""Least number of rows expected beyond the extrapolated quantile."""
INSIDE = 0.25
LEAST_P = 0.1
MOST_SIGMAS = 3.0
LEAST_SHAPE, MOST_SHAPE = -0.5, 1.0
MOST_TIED = 0.05
REPLICATES = 199
SEED = 20261123


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdFit:
    """The law fitted to the ``exceedances`` values above one ``threshold``, with the quantile that follows from it.

    ``shape_error`` is the asymptotic standard error (1 + shape) / sqrt(exceedances).
    """

    threshold: float
    exceedances: int
    shape: float
    shape_error: float
    scale: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Extrapolated quantile of level 1 - delta with its profile-likelihood interval.

    ``fit`` is used, ``fits`` are all that were compared, from the lowest threshold. The p-values of the distances between
    excesses and law are by parametric bootstrap. ``counted`` is the quantile by order statistics, where there is one.
    """

    delta: float
    value: float
    interval: Interval
    counted: QuantileEstimate
    fit: ThresholdFit
    fits: tuple[ThresholdFit, ...]
    anderson_darling_p: float
    kolmogorov_smirnov_p: float
    extrapolated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTail:
    """The quantile of level 1 - delta of the attained (``lower``) and of the certified gap (``upper``)."""

    delta: float
    lower: Tail | Refused
    upper: Tail | Refused


def point_tail(lower: Ordered, upper: Ordered, delta: float, *, key: str) -> PointTail:
    """Return both extrapolated quantiles of a point from its ascending gaps; ``key`` (a digest) seeds the bootstrap."""
    none = Refused(reason="no row is certified; add the spectral estimator")
    return PointTail(
        delta=delta,
        lower=tail(lower, delta, seed=[SEED, int(key[:16], 16), 0]),
        upper=tail(upper, delta, seed=[SEED, int(key[:16], 16), 1]) if len(upper) else none,
    )


def tail(ordered: Ordered, delta: float, *, seed: list[int], error: float = 1.0 - CONFIDENCE) -> Tail | Refused:
    """Return the extrapolated quantile of level 1 - ``delta``, or why these values do not carry one."""
    n = len(ordered)
    most = min(n // SHARE, MOST)
    refused = _unsuitable(n, most, delta)
    if refused is not None:
        return refused
    top = np.asarray(ordered[np.arange(n - most - 1, n)])
    if not np.isfinite(top).all():
        return Refused(reason="the largest values are not finite")
    if 1.0 - len(np.unique(top)) / len(top) > MOST_TIED:
        return Refused(reason="the largest values tie, so they have no smooth tail")
    fits = tuple(_fit(top, round(most * thinned), n, delta) for thinned in THINNED)
    return _chosen(top, n, fits, quantile(ordered, 1.0 - delta, error=error), delta=delta, seed=seed, error=error)


def _unsuitable(n: int, most: int, delta: float) -> Refused | None:
    needed = SHARE * math.ceil(max(LEAST_SHOWN / THINNED[-1], LEAST_FITTED))
    if n < needed:
        return Refused(reason=f"{n} rows have too few large values for a tail", needed=needed)
    if n * delta < FARTHEST:
        return Refused(
            reason=f"{n} rows say nothing so far beyond the largest of them", needed=math.ceil(FARTHEST / delta - 1e-6)
        )
    if n * delta > INSIDE * most:
        return Refused(reason=f"the {1.0 - delta:g} quantile lies inside the data; it is counted, not extrapolated")
    return None


def _fit(top: Doubles, exceedances: int, n: int, delta: float) -> ThresholdFit:
    threshold = float(top[-exceedances - 1])
    shape, scale = (float(fitted[0]) for fitted in fit_pareto(_excesses(top, exceedances)[None, :]))
    return ThresholdFit(
        threshold=threshold,
        exceedances=exceedances,
        shape=shape,
        shape_error=(1.0 + shape) / math.sqrt(exceedances),
        scale=scale,
        value=threshold + float(pareto_quantile(n * delta / exceedances, shape, scale)),
    )


def _excesses(top: Doubles, exceedances: int) -> Doubles:
    return np.asarray(np.maximum(top[-exceedances:] - top[-exceedances - 1], np.finfo(np.float64).tiny))


def _chosen(
    top: Doubles,
    n: int,
    fits: tuple[ThresholdFit, ...],
    counted: QuantileEstimate,
    *,
    delta: float,
    seed: list[int],
    error: float,
) -> Tail | Refused:
    """Return the tail over the lowest threshold whose law fits and keeps its shape above it."""
    reasons = []
    for i, fit in enumerate(fits):
        if fit.exceedances < LEAST_FITTED or n * delta > INSIDE * fit.exceedances:
            continue
        if fit.shape <= LEAST_SHAPE:
            reasons.append(f"the values pile up at their largest (shape below {LEAST_SHAPE:g})")
        elif fit.shape >= MOST_SHAPE:
            reasons.append(f"the largest values spread as if they had no mean (shape above {MOST_SHAPE:g})")
        elif any(_sigmas(fit, higher) > MOST_SIGMAS for higher in fits[i + 1 :]):
            reasons.append(f"the shape changes with the threshold (by more than {MOST_SIGMAS:g} standard errors)")
        else:
            excesses = _excesses(top, fit.exceedances)
            darling, smirnov = fit_p_values(excesses, seed=[*seed, i], replicates=REPLICATES)
            if darling >= LEAST_P:
                found = _interval(excesses, n, fit, delta=delta, error=error)
                if isinstance(found, Refused):
                    return found
                return Tail(
                    delta=delta,
                    value=fit.value,
                    interval=found,
                    counted=counted,
                    fit=fit,
                    fits=fits,
                    anderson_darling_p=darling,
                    kolmogorov_smirnov_p=smirnov,
                )
            reasons.append(f"the largest values do not follow a generalised Pareto law (p below {LEAST_P:g})")
    return Refused(reason="; ".join(dict.fromkeys(reasons)))


def _sigmas(fit: ThresholdFit, higher: ThresholdFit) -> float:
    """Return the change of shape in standard errors; the higher fit uses a part of the same values."""
    spread = (1.0 + fit.shape) * math.sqrt(1.0 / higher.exceedances - 1.0 / fit.exceedances)
    return abs(higher.shape - fit.shape) / spread


def _interval(excesses: Doubles, n: int, fit: ThresholdFit, *, delta: float, error: float) -> Interval | Refused:
    from simprune.analysis.pareto_interval import Exceedances, profile_interval

    found = Exceedances(excesses=excesses, n_rows=n, shape=fit.shape, scale=fit.scale)
    low, high = profile_interval(found, fit.value - fit.threshold, delta=delta, error=error)
    if high is None:
        return Refused(reason="the likelihood sets no upper end to the interval")
    return Interval(low=fit.threshold + low, high=fit.threshold + high, confidence=1.0 - error)
