"""What the norm bounds need of a weight law of unit scale: domination constants, in convex order and of even moments.

``kappa``: xi <= kappa g in convex order, g ~ N(0, 1) (two crossings of the densities with equal E|.|): sqrt(pi / 8) for
symmetric unimodal laws on [-1, 1], sqrt(pi / 2) for any mean-zero law on [-1, 1]. ``theta(beta)``: E xi^(2h) <= theta
beta^(-h) (2h - 1)!! for the orders h that are used. Derived here.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from simprune.model.distributions import AbstractDistribution, Gaussian, Laplace, Rademacher, Uniform
from simprune.model.errors import InputError
from simprune.theory.wishart_moments import ORDERS

Doubles = npt.NDArray[np.float64]
FRACTIONS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentLaw:
    """A law by name; ``kappa`` is None where no Gaussian dominates it; ``bounded``: |xi| <= 1; ``betas`` to try."""

    name: str
    kappa: float | None
    bounded: bool
    betas: tuple[float, ...]
    plain_beta: float
    """Largest beta with theta(beta) = 1; 0 if there is none."""


LAWS = (
    MomentLaw(
        name=Uniform.name,
        kappa=math.sqrt(math.pi / 8.0),
        bounded=True,
        betas=(1, 3, 5, 7, 9, 11, 15, 19, 25, 31, 41, 61, 81, 121),
        plain_beta=3.0,
    ),
    MomentLaw(name=Gaussian.name, kappa=1.0, bounded=False, betas=(1.0,), plain_beta=1.0),
    MomentLaw(name=Laplace.name, kappa=None, bounded=False, betas=(), plain_beta=0.0),
    MomentLaw(
        name=Rademacher.name,
        kappa=math.sqrt(math.pi / 2.0),
        bounded=True,
        betas=(1, 3, 5, 7, 9, 15, 25, 41, 61, 81, 121),
        plain_beta=1.0,
    ),
)
UNIFORM, GAUSSIAN, LAPLACE, RADEMACHER = LAWS


def moment_law(law: AbstractDistribution) -> MomentLaw:
    """Return the constants of a weight law; InputError for a law without derived constants.

    >>> moment_law(Gaussian()).kappa
    1.0
    """
    found = next((known for known in LAWS if known.name == law.name), None)
    if found is None:
        names = ", ".join(known.name for known in LAWS)
        raise InputError(f"the a-priori bounds need a law with derived constants, got {law.name}; take one of {names}")
    return found


@cache
def moment_weights(law: MomentLaw, q: float) -> tuple[Doubles, Doubles]:
    """Return log beta and log(theta q), both ``[n_betas, ORDERS]`` by p - 1, of all beta with theta q <= 1.

    Laplace: E xi^(2h) = h! (2h - 1)!! grows too fast for one beta (it is not sub-Gaussian), but E Tr (X X^T)^p uses
    h <= p only: theta = max(beta, p! beta^p), as h! beta^h is log-convex in h.

    >>> log_beta, log_weight = moment_weights(GAUSSIAN, 0.5)
    >>> log_beta.shape, float(np.exp(log_weight[0, 0]))
    ((1, 64), 0.5)
    """
    if law is LAPLACE:
        p = np.arange(1, ORDERS + 1)
        largest = np.minimum(-math.log(q), -(gammaln(p + 1.0) + math.log(q)) / p)
        log_beta = np.minimum(largest + np.log(FRACTIONS)[:, None], 60.0)
        log_theta = np.maximum(log_beta, gammaln(p + 1.0) + p * log_beta)
    else:
        log_beta = np.repeat(np.log(law.betas)[:, None], ORDERS, axis=1)
        log_theta = np.repeat(np.array([[_log_theta(law, beta)] for beta in law.betas]), ORDERS, axis=1)
    log_weight = log_theta + math.log(q)
    fits = (log_weight <= 1e-12).all(axis=1)
    return log_beta[fits], np.minimum(log_weight[fits], 0.0)


def _log_theta(law: MomentLaw, beta: float) -> float:
    if law is GAUSSIAN:
        return 0.0
    h = np.arange(1, 400)
    log_double_factorial = gammaln(2 * h + 1) - h * math.log(2.0) - gammaln(h + 1)
    log_moment = -np.log(2.0 * h + 1.0) if law is UNIFORM else np.zeros(len(h))
    return float(np.max(log_moment + h * math.log(beta) - log_double_factorial))
