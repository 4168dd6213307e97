"""Exponents fitted to quantiles of the gap over the width, with bootstrap intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.analysis.estimates import CONFIDENCE, Interval, Refused
from simprune.analysis.ordered import Ordered
from simprune.analysis.quantiles import quantile_rank, trials_needed

Doubles = npt.NDArray[np.float64]

REPLICATES = 2000
BOOTSTRAP_SEED = 20260917


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileSample:
    """A sample quantile with bootstrap replicates of it, ``[REPLICATES]``; ``n_rows`` trials stand behind it."""

    level: float
    value: float
    replicates: Doubles
    n_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentFit:
    """Least-squares exponent nu of quantile ~ d^(-nu).

    The interval covers the chance of the trials, not the distance of these widths from the limit. ``local`` holds the
    exponents between neighbouring widths; ``residual`` the largest |log residual| (three widths or more).
    """

    exponent: float
    interval: Interval
    local: tuple[float, ...]
    residual: float | None


def quantile_sample(ordered: Ordered, level: float, *, key: str) -> QuantileSample | Refused:
    """Return a quantile of ascending values and the exact bootstrap law of it.

    The r-th smallest of n values drawn with replacement from the sample is X_(ceil(n B)), B ~ Beta(r, n + 1 - r), so
    no resampling is needed. The generator is seeded by ``key`` (a digest) and the level alone.
    """
    n, needed = len(ordered), trials_needed(level, error=1.0 - CONFIDENCE, two_sided=True)
    if not n:
        return Refused(reason="there are no rows", needed=needed)
    if n < needed:
        return Refused(reason=f"{n} trials are too few for an interval of the {level:g} quantile", needed=needed)
    rank = quantile_rank(n, level)
    rng = np.random.default_rng([BOOTSTRAP_SEED, int(key[:16], 16), round(level * 1e9)])
    drawn = np.ceil(n * rng.beta(rank, n + 1 - rank, size=REPLICATES)).astype(np.int64)
    replicates = ordered[np.clip(drawn, 1, n) - 1]
    return QuantileSample(level=level, value=float(ordered[rank - 1]), replicates=replicates, n_rows=n)


def fit_exponent(
    widths: Sequence[int], samples: Sequence[QuantileSample | Refused], *, confidence: float = CONFIDENCE
) -> ExponentFit | Refused:
    """Return the exponent of 1/d from one quantile at two or more widths."""
    known = [sample for sample in samples if isinstance(sample, QuantileSample)]
    if len(known) < len(samples):
        refused = next(sample for sample in samples if isinstance(sample, Refused))
        return Refused(reason=f"at a width {refused.reason}", needed=refused.needed)
    if len(set(widths)) < 2:
        return Refused(reason="a slope needs at least two widths")
    if any(sample.value <= 0.0 or not np.isfinite(sample.value) for sample in known):
        return Refused(reason="the quantile is 0 or infinite at a width, so it has no logarithm")
    replicates = np.stack([sample.replicates for sample in known])
    if not (np.isfinite(replicates).all() and (replicates > 0.0).all()):
        return Refused(
            reason="some trials at a width have gap 0 or inf (below the noise floor), so the interval is undefined"
        )
    x = np.log(np.asarray(widths, dtype=np.float64))
    y = np.log([sample.value for sample in known])
    centred = x - x.mean()
    slope = -centred / (centred @ centred)
    tail = 0.5 * (1.0 - confidence)
    low, high = np.quantile(slope @ np.log(replicates), [tail, 1.0 - tail])
    residual = float(np.abs(y - y.mean() + (slope @ y) * centred).max()) if len(x) > 2 else None
    return ExponentFit(
        exponent=float(slope @ y),
        interval=Interval(low=float(low), high=float(high), confidence=confidence),
        local=tuple((-np.diff(y) / np.diff(x)).tolist()),
        residual=residual,
    )
