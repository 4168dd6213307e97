"""Do the entries follow a uniform or a Gaussian law? Kolmogorov-Smirnov and Anderson-Darling with fitted parameters.

Both laws are families of location and scale. Fitted shape values do not depend on the parameters, so simulating one
member of the family and fitting it again (the parametric bootstrap) gives the exact null at every sample size.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import special

from simprune.assumptions.replicates import Replicates

Doubles = npt.NDArray[np.float64]
Shares = tuple[Doubles, Doubles]

MOST_VALUES = 4096
_TINY = 1e-300
_CHUNK = 1 << 20


def uniform_shares(ordered: Doubles) -> Shares:
    """Return (u, 1 - u) of the inner values of ascending rows ``[r, n]`` under the uniform law between the outer ones.

    Smallest and largest value are the maximum-likelihood ends; given them the others are uniform between them.
    """
    low, high = ordered[:, :1], ordered[:, -1:]
    inner = ordered[:, 1:-1]
    return (inner - low) / (high - low), (high - inner) / (high - low)


def gaussian_shares(ordered: Doubles) -> Shares:
    """Return (u, 1 - u) of ascending rows ``[r, n]`` under the Gaussian law of their own mean and deviation."""
    z = ordered - ordered.mean(axis=1, keepdims=True)
    z /= np.sqrt(np.mean(z**2, axis=1, keepdims=True))
    return special.ndtr(z), special.ndtr(-z)


def kolmogorov_smirnov(shares: Shares) -> Doubles:
    """Return sup |F_n - F|, ``[r]``, of ascending shares ``[r, n]``."""
    u, n = shares[0], shares[0].shape[1]
    steps = np.arange(n + 1) / n
    return np.asarray(np.maximum(np.max(steps[1:] - u, axis=1), np.max(u - steps[:-1], axis=1)))


def anderson_darling(shares: Shares) -> Doubles:
    """Return A^2 = -n - (1/n) sum (2 i - 1) (log u_i + log(1 - u_(n + 1 - i))), ``[r]``, of ascending shares ``[r, n]``."""
    u, rest = shares
    n = u.shape[1]
    odd = 2.0 * np.arange(1, n + 1) - 1.0
    return np.asarray(-n - (np.log(np.maximum(u, _TINY)) @ odd + np.log(np.maximum(rest, _TINY)) @ odd[::-1]) / n)


LAWS: Mapping[str, tuple[Callable[[Doubles], Shares], Callable[[Doubles], Doubles]]] = {
    "uniform": (uniform_shares, lambda u: u),
    "gaussian": (gaussian_shares, special.ndtri),
}
STATISTICS: Mapping[str, Callable[[Shares], Doubles]] = {"KS": kolmogorov_smirnov, "AD": anderson_darling}


def fits(values: Doubles, *, replicates: int, rng: np.random.Generator) -> dict[str, Replicates]:
    """Return both statistics against both laws, by kind ("uniform KS", ...), from entries in any order."""
    ordered = np.sort(values)[None]
    found: dict[str, list[Doubles]] = {}
    for law, (shares, quantile) in LAWS.items():
        for simulated in _chunks(ordered, quantile, replicates=replicates, rng=rng):
            fitted = shares(simulated)
            for name, statistic in STATISTICS.items():
                found.setdefault(f"{law} {name}", []).append(statistic(fitted))
    return {kind: Replicates(values=np.concatenate(parts)[None], two_sided=False) for kind, parts in found.items()}


def _chunks(
    ordered: Doubles, quantile: Callable[[Doubles], Doubles], *, replicates: int, rng: np.random.Generator
) -> list[Doubles]:
    """Return the sample itself, then simulated samples of its size, each row ascending."""
    n = ordered.shape[1]
    rows = max(1, _CHUNK // n)
    parts = [ordered]
    for at in range(0, replicates, rows):
        sums = np.cumsum(rng.standard_exponential((min(rows, replicates - at), n + 1)), axis=1)
        parts.append(quantile(sums[:, :-1] / sums[:, -1:]))
    return parts
