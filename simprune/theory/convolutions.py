"""A-priori norm bounds of random convolutions: Lemma M* for the symbol on a grid of frequencies, and the reshape bound.

The norm of a convolution of stride 1 is at most sup over w of ||Khat(w)||, Khat(w)_ij = sum over taps of K_ij,ab
exp(-i (a w1 + b w2)); a grid of M1 x M2 frequencies loses a factor cos(pi (k - 1) / (2 M)) an axis, and with circular
padding the image's own frequencies are exact (``backends.conv_certificates``). A strided one is one of stride 1 on s_h s_w
images.

For one frequency, entries are independent sums of N taps with phases of modulus 1, so E |Khat_ij|^(2h) and all mixed even
moments are at most those of Z = sum of N masked entries. With rho(beta) = max over h of beta^h E Z^(2h) / (2h - 1)!! <= 1
Lemma M* gives E Tr (Khat Khat*)^p <= beta^(-p) sum N_p(i, j) (c_out)_i (c_in)_j rho^(i + j - 1) (a random k-subset is
dominated term by term by independent masks), and a union bound over the frequencies, halved by conjugate symmetry, ends
it. Groups are apart: each gets its share of the level. Derived here.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from simprune.model.chain import Stage
from simprune.model.distributions import AbstractDistribution, Gaussian, Laplace, Rademacher, Uniform
from simprune.model.layers import Conv2d
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.laws import moment_law
from simprune.theory.layers import TAIL, pruned_norm, target_norm
from simprune.theory.moment_norms import ROUNDING
from simprune.theory.norms import Candidate, NormBound, best_of, dense_norm
from simprune.theory.order_statistics import beta_log_moments
from simprune.theory.threshold_moments import log_moments_above
from simprune.theory.wishart_moments import ORDERS, log_sum_rows, shape_cells

Doubles = npt.NDArray[np.float64]
GRIDS = (4, 6, 8, 10, 12, 16, 24, 32, 48)
BETAS = 80


def layer_target_norm(stage: Stage, law: AbstractDistribution, *, delta: float) -> NormBound:
    """Bound ||W*|| of a weighted layer of any kind; the same number bounds the pruned ||W|| (Jensen).

    >>> from simprune.model.chain import Stage

    >>> from simprune.model.layers import Conv2d
    >>> layer = Conv2d(channels=32, kernel=(3, 3), padding=(1, 1))
    >>> stage = Stage(layer=layer, input=(32, 16, 16), output=(32, 16, 16))
    >>> round(layer_target_norm(stage, Uniform(), delta=0.05).value, 2)
    1.38
    """
    if not isinstance(stage.layer, Conv2d):
        return target_norm(stage.matrix_shape, law, delta=delta)
    return _convolution(stage, law, q=1.0, delta=delta).times(law.scale(*stage.fan))


def layer_pruned_norm(
    stage: Stage, law: AbstractDistribution, rule: AbstractPruningRule, *, n_pruned: int, delta: float
) -> NormBound:
    """Bound ||Delta|| of a weighted layer of any kind that loses ``n_pruned`` weights by ``rule``.

    Magnitude pruning: Delta = T (1_S o U) as for matrices (``theory.layers``). Whole filters: a part of the convolution, so
    at most the bound of ||W*||, which does not vanish.

    >>> from simprune.model import pruning
    >>> from simprune.model.chain import Stage
    >>> from simprune.model.layers import Conv2d
    >>> layer = Conv2d(channels=32, kernel=(3, 3), padding=(1, 1))
    >>> stage = Stage(layer=layer, input=(32, 16, 16), output=(32, 16, 16))
    >>> rule = pruning.MagnitudePruning(alpha=0.5)
    >>> round(layer_pruned_norm(stage, Uniform(), rule, n_pruned=96, delta=0.05).value, 5)
    0.00346
    """
    if not isinstance(stage.layer, Conv2d):
        return pruned_norm(stage.matrix_shape, law, rule, n_pruned=n_pruned, delta=delta)
    size = math.prod(stage.weight_shape)
    if n_pruned == 0:
        return best_of(Candidate(method="exact", value=0.0, budget="none: nothing is pruned"), delta=delta)
    whole = layer_target_norm(stage, law, delta=delta)
    candidates = [Candidate(method=f"J ({whole.method})", value=whole.value, budget=whole.candidates[0].budget)]
    if not rule.whole_rows and n_pruned < size:
        candidates += _masked(stage, law, rule, n_pruned, delta=delta)
    return best_of(*candidates, delta=delta)


def _masked(
    stage: Stage, law: AbstractDistribution, rule: AbstractPruningRule, k: int, *, delta: float
) -> tuple[Candidate, ...]:
    size, scale = math.prod(stage.weight_shape), law.scale(*stage.fan)
    if rule.is_random:
        return _convolution(stage, law, q=k / size, delta=delta).times(scale).candidates
    if isinstance(law, Uniform):
        factor = beta_log_moments(size, k, count=ORDERS)
        return _convolution(stage, law, q=k / size, delta=delta, factor=_frozen(factor)).times(scale).candidates
    if not law.is_continuous:
        return ()
    factor = log_moments_above(lambda t: t, type(law), size, k, tail=TAIL * delta)
    found = _convolution(stage, Uniform(), q=k / size, delta=(1.0 - TAIL) * delta, factor=_frozen(factor))
    return found.times(scale).candidates


def _frozen(factor: Doubles) -> tuple[float, ...]:
    return tuple(factor.tolist())


@lru_cache(maxsize=1024)
def _convolution(
    stage: Stage, law: AbstractDistribution, *, q: float, delta: float, factor: tuple[float, ...] = ()
) -> NormBound:
    """Bound T ||eta o xi|| at unit scale, ``factor`` the log even moments of T; all groups together at level ``delta``."""
    layer = stage.layer
    assert isinstance(layer, Conv2d)
    share, (sh, sw) = delta / layer.groups, layer.stride
    rows, inputs = layer.channels // layer.groups, stage.input[0] // layer.groups * sh * sw
    taps = tuple(-(-k // s) for k, s in zip(layer.kernel, layer.stride, strict=True))
    logs = _symbol_moments(rows, inputs, math.prod(taps), q, type(law))
    extra = np.array(factor) if factor else np.zeros(ORDERS)
    powers = 2.0 * np.arange(1, ORDERS + 1)
    symbol = math.inf
    for points, loss in _grids(stage, layer, taps):
        value = math.exp(float(np.min((logs + extra + math.log(points / share)) / powers))) / loss
        symbol = min(symbol, value * ROUNDING)
    budget = "all of it" if layer.groups == 1 else f"1/{layer.groups} each group"
    candidates = [Candidate(method="M* (symbol)", value=symbol, budget=budget)]
    if q == 1.0 and not factor:
        copies = min(taps[0], stage.output[1]) * min(taps[1], stage.output[2])
        copies = math.prod(taps) if layer.circular else copies
        matrix = dense_norm(rows, stage.matrix_shape[1], moment_law(law), delta=share)
        value = math.sqrt(copies) * matrix.value * (1.0 + 1e-15)
        candidates.append(Candidate(method=f"reshape ({matrix.method})", value=value, budget=budget))
    return best_of(*candidates, delta=delta)


def _grids(stage: Stage, layer: Conv2d, taps: tuple[int, ...]) -> Iterator[tuple[float, float]]:
    """Yield numbers of frequencies (up to conjugation) and the product of cosines of grids that may be used."""
    for m in GRIDS:
        if any(m <= k - 1 for k in taps):
            continue
        sizes = [m if k > 1 else 1 for k in taps]
        loss = math.prod(math.cos(math.pi * (k - 1) / (2.0 * m)) for k in taps)
        yield (math.prod(sizes) / 2.0 + 2.0 if math.prod(sizes) > 1 else 1.0), loss
    pairs = list(zip(stage.input[1:], layer.stride, strict=True))
    if layer.circular and all(n % s == 0 for n, s in pairs):
        yield math.prod(n // s for n, s in pairs) / 2.0 + 2.0, 1.0


@lru_cache(maxsize=1024)
def _symbol_moments(n: int, m: int, taps: int, q: float, law: type[AbstractDistribution]) -> Doubles:
    """Return log min over beta of beta^(-p) S_p with rho(beta) in place of theta q, ``[ORDERS]``."""
    h = np.arange(1, ORDERS + 1)
    logs = _log_sum_moments(taps, q, law) + h * math.log(2.0) + gammaln(h + 1.0)
    log_betas = np.linspace(math.log(0.02 / taps), math.log(200.0), BETAS)
    log_rho = np.max(logs + h * log_betas[:, None], axis=1)
    fits = log_rho <= 0.0
    if not fits.any():
        log_betas, log_rho, fits = np.array([float(np.min(-logs / h))]), np.zeros(1), np.array([True])
    sums = log_sum_rows(shape_cells(n, m), log_rho[fits][:, None, None])
    return np.asarray((sums - h * log_betas[fits][:, None]).min(axis=0))


def _log_sum_moments(taps: int, q: float, law: type[AbstractDistribution]) -> Doubles:
    """Return log (E Z^(2h) / (2h)!), h = 1..ORDERS, of the sum Z of ``taps`` masked entries.

    The generating function of E Z^(2h) / (2h)! is the power of that of one entry.
    """
    h = np.arange(ORDERS + 1)
    log_moment = {
        Uniform: -np.log(2.0 * h + 1.0),
        Gaussian: gammaln(2.0 * h + 1.0) - h * math.log(2.0) - gammaln(h + 1.0),
        Laplace: gammaln(2.0 * h + 1.0) - h * math.log(2.0),
        Rademacher: np.zeros(len(h)),
    }[law]
    single = np.exp(log_moment - gammaln(2.0 * h + 1.0)) * q
    single[0] = 1.0
    series = single
    for _ in range(taps - 1):
        series = np.convolve(series, single)[: ORDERS + 1]
    return np.asarray(np.log(series[1:]))
