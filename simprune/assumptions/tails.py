"""Tails of the entries: fourth moment and sub-Gaussian proxy, the quantities that bound norms of random matrices."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from simprune.analysis.estimates import CONFIDENCE, Interval

Doubles = npt.NDArray[np.float64]

_TILTS = np.geomspace(0.05, 20.0, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """Dimensionless. ``excess_kurtosis`` is E z^4 - 3 of z = (w - mean) / std: -1.2 uniform, 0 Gaussian, 3 Laplace.

    ``interval``: approximate, from the influence function; too short where the eighth moment is infinite. ``proxy``: the
    least v / std with E exp(l (w - mean)) <= exp(l^2 v^2 / 2) for all l over the entries looked at: 1 for uniform,
    Gaussian and Rademacher laws, more for heavy or lopsided tails; a description of these entries, no estimate.
    """

    excess_kurtosis: float
    interval: Interval
    proxy: float


def tails(values: Doubles) -> Tails:
    """Return the tails of entries in any order, not all equal.

    >>> tails(np.array([-1.0, 1.0] * 50)).excess_kurtosis
    -2.0
    """
    z = (values - values.mean()) / values.std()
    excess, interval = excess_kurtosis(z)
    return Tails(excess_kurtosis=excess, interval=interval, proxy=proxy(z))


def excess_kurtosis(z: Doubles) -> tuple[float, Interval]:
    """Return E z^4 - 3 of standardised entries with its approximate interval."""
    fourth, third = float(np.mean(z**4)), float(np.mean(z**3))
    influence = z**4 - fourth - 4.0 * third * z - 2.0 * fourth * (z**2 - 1.0)
    half = -float(special.ndtri((1.0 - CONFIDENCE) / 2.0)) * float(influence.std()) / math.sqrt(len(z))
    return fourth - 3.0, Interval(low=fourth - 3.0 - half, high=fourth - 3.0 + half)


def proxy(z: Doubles) -> float:
    """Return sup over l of sqrt(2 log E exp(l z)) / |l| of standardised entries; 1 is its limit at l = 0."""
    best = 1.0
    for tilt in np.concatenate([_TILTS, -_TILTS]).tolist():
        cumulant = float(special.logsumexp(tilt * z)) - math.log(len(z))
        best = max(best, math.sqrt(max(0.0, 2.0 * cumulant)) / abs(tilt))
    return best
