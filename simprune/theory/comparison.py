"""Comparison curves from the literature: orders of magnitude of E ||X||, NOT bounds at a level; never used in a minimum.

X is n x m with independent entries eta xi, eta kept with probability q, of a law of unit scale.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from simprune.model.distributions import AbstractDistribution, Laplace, Rademacher, Uniform

STEPS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve's ``value`` at scale 1; ``status`` says why it is no bound here."""

    name: str
    value: float
    status: str


def comparison_curves(n: int, m: int, q: float, law: AbstractDistribution) -> tuple[Curve, ...]:
    """Return Latala's, Seginer's and Bandeira and van Handel's expressions for an n x m matrix masked with probability q.

    >>> from simprune.model.distributions import Gaussian
    >>> [round(curve.value, 1) for curve in comparison_curves(100, 100, 1.0, Gaussian())]
    [33.2, 20.0, 53.2]
    """
    second, fourth = q * law.std**2, q * _fourth_moment(law)
    rows, columns = math.sqrt(m * second), math.sqrt(n * second)
    theirs = "Gaussian entries, E ||X|| only; mean profile for masks, constants not checked"
    unspecified = "its universal constant is not specified: shown with constant 1"
    return (
        Curve(name="Latala 2005", value=rows + columns + (n * m * fourth) ** 0.25, status=unspecified),
        Curve(name="Seginer 2000", value=rows + columns, status=f"{unspecified}, root mean squares for maxima"),
        Curve(name="Bandeira & van Handel 2016", value=_bandeira(n, m, q), status=theirs),
    )


def _bandeira(n: int, m: int, q: float) -> float:
    """(1 + e) (s1 + s2 + 5 / sqrt(log(1 + e)) s_* sqrt(log min(n, m))), least over 0 < e <= 1/2; variance profile q."""
    e = np.linspace(0.5 / STEPS, 0.5, STEPS)
    tail = 5.0 * math.sqrt(math.log(max(min(n, m), 2))) / np.sqrt(np.log1p(e))
    return float(np.min((1.0 + e) * (math.sqrt(m * q) + math.sqrt(n * q) + tail)))


def _fourth_moment(law: AbstractDistribution) -> float:
    if isinstance(law, Uniform):
        return 0.2
    if isinstance(law, Rademacher):
        return 1.0
    return float(np.exp(gammaln(5.0))) / 4.0 if isinstance(law, Laplace) else 3.0
