"""Profile-likelihood interval of a quantile beyond a threshold, from the excesses over it and from their share."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from simprune.analysis.pareto import LEAST_SHAPE

Doubles = npt.NDArray[np.float64]

FARTHEST = 1e6
"""An upper end this many times the estimate counts as none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceedances:
    """Excesses over a threshold in ``n_rows`` rows, with the generalised Pareto law fitted to them."""

    excesses: Doubles
    n_rows: int
    shape: float
    scale: float

    @property
    def share(self) -> float:
        """Share of the rows above the threshold."""
        return len(self.excesses) / self.n_rows

    def log_likelihood(self, shape: float, log_scale: float, share: float) -> float:
        """Return the log-likelihood of the excesses and of their number, -inf outside the parameters' domain."""
        k, scale = len(self.excesses), math.exp(log_scale)
        inside = 1.0 + shape * self.excesses[-1] / scale
        if not (shape > LEAST_SHAPE and inside > 0.0 and 0.0 < share < 1.0):
            return -math.inf
        if abs(shape) < 1e-9:
            spread = float(self.excesses.sum()) / scale
        else:
            spread = (1.0 + 1.0 / shape) * float(np.log1p(self.excesses * (shape / scale)).sum())
        return -k * log_scale - spread + k * math.log(share) + (self.n_rows - k) * math.log1p(-share)


def profile_interval(found: Exceedances, excess: float, *, delta: float, error: float) -> tuple[float, float | None]:
    """Return the excesses between which the quantile of 1 - ``delta`` lies with confidence 1 - ``error``.

    All x with 2 (max l - max over laws with quantile x of l) <= the chi-squared quantile; shape, scale and the share of
    rows above the threshold are unknown. ``excess`` is the estimate. The upper end is None where the likelihood sets none.
    """
    best = found.log_likelihood(found.shape, math.log(found.scale), found.share)
    limit = float(special.chdtri(1, error))
    profile = _Profile(found, delta, np.array([found.shape, math.log(found.scale)]))

    @cache
    def beyond(log_excess: float) -> float:
        return 2.0 * (best - profile(math.exp(log_excess))) - limit

    centre = math.log(excess)
    low, high = _outward(beyond, centre, -1.0), _outward(beyond, centre, 1.0)
    lower = 0.0 if low is None else math.exp(optimize.brentq(beyond, low, centre, xtol=1e-5))
    return lower, None if high is None else math.exp(optimize.brentq(beyond, centre, high, xtol=1e-5))


def _outward(beyond: Callable[[float], float], centre: float, sign: float) -> float | None:
    step = 0.02
    while step <= math.log(FARTHEST):
        if beyond(centre + sign * step) > 0.0:
            return centre + sign * step
        step *= 2.0
    return None


class _Profile:
    """Largest log-likelihood of all laws with a given quantile, each search starting where the last one ended."""

    def __init__(self, found: Exceedances, delta: float, start: Doubles) -> None:
        self._found, self._delta, self._start = found, delta, start

    def __call__(self, excess: float) -> float:
        def loss(parameters: Doubles) -> float:
            shape, log_scale = float(parameters[0]), float(parameters[1])
            ratio = shape * excess * math.exp(-log_scale)
            if not (ratio > -1.0 and abs(log_scale) < 700.0):
                return math.inf
            exponent = math.log1p(ratio) / shape if abs(shape) > 1e-9 else excess * math.exp(-log_scale)
            share = self._delta * math.exp(min(exponent, 700.0))
            return -self._found.log_likelihood(shape, log_scale, share)

        exponential = np.array([1e-3, math.log(excess / math.log(self._found.share / self._delta))])
        starts = [start for start in (self._start, exponential) if math.isfinite(loss(start))]
        least, self._start = min((_search(loss, start) for start in starts), key=lambda found: found[0])
        return -least


def _search(loss: Callable[[Doubles], float], start: Doubles) -> tuple[float, Doubles]:
    simplex = start + np.array([[0.0, 0.0], [0.05, 0.0], [0.0, 0.05]])
    options: Any = {"xatol": 1e-5, "fatol": 1e-6, "maxiter": 400, "initial_simplex": simplex}
    found = optimize.minimize(loss, start, method="Nelder-Mead", options=options)
    return float(found.fun), np.asarray(found.x)
