"""The generalised Pareto law of excesses over a threshold: maximum likelihood, and how well it fits.

P(Y > y) = (1 + shape y / scale)^(-1 / shape), the limit of every smooth tail (Balkema & de Haan 1974; Pickands 1975). With
theta = shape / scale the likelihood is maximal at shape = mean log(1 + theta y), so one number is searched (Grimshaw 1993).
"""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

LEAST_SHAPE = -0.9
"""Below -1 the likelihood is unbounded."""
_GRID = np.arange(-9.0, 40.5, 1.0)
_GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)
_STEPS = 26


def fit_pareto(excesses: Doubles) -> tuple[Doubles, Doubles]:
    """Return shape and scale of every row of positive excesses, ``[n_samples, n_excesses]``."""
    largest = excesses.max(axis=1)
    relative = excesses / largest[:, None]
    values = np.stack([_profile(relative, np.full(len(relative), t))[0] for t in _GRID])
    best = _GRID[values.argmax(axis=0)]
    low, high = best - 1.0, best + 1.0
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = _profile(relative, left)[0], _profile(relative, right)[0]
    for _ in range(_STEPS):
        up = at_right > at_left
        low, high = np.where(up, left, low), np.where(up, high, right)
        new = np.where(up, low + _GOLDEN * (high - low), high - _GOLDEN * (high - low))
        at_new = _profile(relative, new)[0]
        left, right = np.where(up, right, new), np.where(up, new, left)
        at_left, at_right = np.where(up, at_right, at_new), np.where(up, at_new, at_left)
    _, shape, scale = _profile(relative, 0.5 * (low + high))
    return shape, scale * largest


def _profile(relative: Doubles, t: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Return mean log-likelihood, shape and scale where 1 + theta y is e^t at the largest excess y = 1."""
    theta = np.expm1(np.where(np.abs(t) < 1e-7, 1e-7, t))
    shape = np.log1p(theta[:, None] * relative).mean(axis=1)
    scale = shape / theta
    return np.where(shape < LEAST_SHAPE, -np.inf, -np.log(scale) - 1.0 - shape), shape, scale


def log_survival(excesses: Doubles, shape: npt.ArrayLike, scale: npt.ArrayLike) -> Doubles:
    """Return log P(Y > y); -inf beyond the end of the law."""
    ratio, shapes = excesses / np.asarray(scale, dtype=np.float64), np.asarray(shape, dtype=np.float64)
    safe = np.where(np.abs(shapes) < 1e-9, 1e-9, shapes)
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log1p(np.maximum(safe * ratio, -1.0)) / safe)


def pareto_quantile(survival: npt.ArrayLike, shape: npt.ArrayLike, scale: npt.ArrayLike) -> Doubles:
    """Return y with P(Y > y) = ``survival``."""
    shapes = np.asarray(shape, dtype=np.float64)
    safe = np.where(np.abs(shapes) < 1e-9, 1e-9, shapes)
    return np.asarray(scale * np.expm1(-safe * np.log(survival)) / safe)


def distances(excesses: Doubles, shape: Doubles, scale: Doubles) -> tuple[Doubles, Doubles]:
    """Return the Anderson-Darling and Kolmogorov-Smirnov statistics of ascending rows against their laws."""
    n = excesses.shape[1]
    above = np.minimum(log_survival(excesses, shape[:, None], scale[:, None]), -1e-300)
    below = np.log(-np.expm1(above))
    steps = np.arange(1, n + 1)
    darling = -n - ((2 * steps - 1) * (below + above[:, ::-1])).mean(axis=1)
    reached = -np.expm1(above)
    smirnov = np.maximum(steps / n - reached, reached - (steps - 1) / n).max(axis=1)
    return darling, smirnov


def fit_p_values(excesses: Doubles, *, seed: list[int], replicates: int) -> tuple[float, float]:
    """Return p-values of both distances of ascending excesses from their fitted law, by parametric bootstrap.

    Each replicate is drawn from the fitted law and fitted again; p = (1 + replicates at least as far) / (1 + replicates).
    """
    sample = excesses[None, :]
    shape, scale = fit_pareto(sample)
    observed = distances(sample, shape, scale)
    uniform = np.random.default_rng(seed).random((replicates, excesses.size))
    drawn = np.sort(pareto_quantile(1.0 - uniform, shape, scale), axis=1)
    again = distances(drawn, *fit_pareto(np.maximum(drawn, 1e-300)))
    further = [int(np.count_nonzero(new >= old)) for new, old in zip(again, observed, strict=True)]
    return (1 + further[0]) / (1 + replicates), (1 + further[1]) / (1 + replicates)
