"""The tests of the i.i.d. assumption: false alarms on i.i.d. layers of several laws, power on planted departures.

Layers come from NumPy's generators, not from simprune's own. A kind of test must be silent wherever its null holds: the
tests of exchangeability for every continuous law, those of a law for that law only.
"""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import stats
from verify_checks import Check, at_most
from verify_session import Session
from verify_table import show

from simprune.assumptions.check import ALPHAS, check_assumptions
from simprune.assumptions.exchange import KINDS
from simprune.assumptions.layer import as_layers
from simprune.assumptions.look import looked
from simprune.assumptions.replicates import judged

SIDE = 64
LAYERS = 200
POWER_LAYERS = 100
NETWORKS = 200
REPLICATES = 199
LEVEL = 0.05
FITS = ("uniform KS", "uniform AD", "gaussian KS", "gaussian AD")
SYMMETRIC = ("signs", *KINDS)
Draw = Callable[[np.random.Generator], np.ndarray]
LAWS: Mapping[str, tuple[Draw, tuple[str, ...]]] = {
    "uniform": (lambda rng: rng.uniform(-1.0, 1.0, (SIDE, SIDE)), (*FITS[:2], *SYMMETRIC)),
    "gaussian": (lambda rng: rng.standard_normal((SIDE, SIDE)), (*FITS[2:], *SYMMETRIC)),
    "laplace": (lambda rng: rng.laplace(size=(SIDE, SIDE)), SYMMETRIC),
    "Student t, 3 degrees": (lambda rng: rng.standard_t(3.0, (SIDE, SIDE)), SYMMETRIC),
}


def spike(rng: np.random.Generator, strength: float = 1.6) -> np.ndarray:
    """A rank-one part ``strength`` times what first shows beyond the edge."""
    u, v = rng.standard_normal((2, SIDE))
    return rng.standard_normal((SIDE, SIDE)) + strength * np.sqrt(SIDE) * np.outer(u, v) / np.linalg.norm(
        u
    ) / np.linalg.norm(v)


def correlated_rows(rng: np.random.Generator, correlation: float = 0.05) -> np.ndarray:
    shared = rng.standard_normal(SIDE)
    return np.sqrt(1.0 - correlation) * rng.standard_normal((SIDE, SIDE)) + np.sqrt(correlation) * shared


def block(rng: np.random.Generator, factor: float = 0.1) -> np.ndarray:
    """Small weights gather in a twelfth of the rows."""
    values = rng.standard_normal((SIDE, SIDE))
    values[: SIDE // 12] *= factor
    return values


def row_scales(rng: np.random.Generator, spread: float = 0.2) -> np.ndarray:
    return np.exp(spread * rng.standard_normal((SIDE, 1))) * rng.standard_normal((SIDE, SIDE))


def shifted(rng: np.random.Generator, mean: float = 0.1) -> np.ndarray:
    return mean + rng.standard_normal((SIDE, SIDE))


PLANTED: Mapping[str, tuple[Draw, tuple[str, ...]]] = {
    "rank-one spike": (spike, ("spectrum",)),
    "heavy tails (t, 3 degrees)": (LAWS["Student t, 3 degrees"][0], FITS),
    "rows correlated by .05": (correlated_rows, ("rows", "spectrum")),
    "a twelfth of the rows, .1 x weights": (block, ("placement", "row sizes")),
    "row sizes spread by .2": (row_scales, ("row sizes",)),
    "mean .1 deviations": (shifted, ("signs",)),
}


def alarms(session: Session) -> list[Check]:
    """Rejections at level 0.05 of single tests on i.i.d. layers, two-sided exact binomial; family-wise rate of networks."""
    checks, rows = [], []
    n = session.trials(LAYERS, least=10)
    for number, (law, (draw, silent)) in enumerate(LAWS.items()):
        counts = rejections(draw, n, seed=(session.seed, number))
        for kind in silent:
            p = float(stats.binomtest(counts[kind], n, LEVEL).pvalue)
            checks.append(Check(f"{law}, {kind}: {counts[kind]} of {n} rejected, {LEVEL:g} expected", p))
        rows.append([law, *(f"{counts[kind] / n:.3f}" if kind in silent else "-" for kind in (*FITS, *SYMMETRIC))])
    show(f"False alarms at level {LEVEL:g}: shares of {n} i.i.d. layers {SIDE} x {SIDE}", ("law", *FITS, *SYMMETRIC), rows)
    return [*checks, *together(session)]


def together(session: Session) -> list[Check]:
    """Networks of three Gaussian layers: any false rejection after the correction over layers and kinds."""
    n = session.trials(NETWORKS, least=10)
    any_false = 0
    for i in range(n):
        rng = np.random.default_rng((session.seed, 7, i))
        weights = {str(size): rng.standard_normal(size) for size in ((24, 24), (16, 36), (24, 20))}
        found = check_assumptions(weights, seed=i, replicates=239)
        any_false += any(t.rejected for x in found.layers for t in x.tests if not t.kind.startswith("uniform"))
    show("Networks of three Gaussian layers", ("networks", "with a false alarm"), [(n, any_false)])
    return [at_most("networks with a false alarm", any_false, n, LEVEL)]


def power(session: Session) -> list[Check]:
    """Rejections at level 0.05 on planted departures; the named tests must see half of them, the others are shown."""
    checks, rows = [], []
    n = session.trials(POWER_LAYERS, least=10)
    kinds = (*FITS[2:], *SYMMETRIC)
    for number, (name, (draw, seen)) in enumerate(PLANTED.items()):
        counts = rejections(draw, n, seed=(session.seed, 100 + number))
        checks += [at_most(f"{name}: {kind} misses", n - counts[kind], n, 0.5) for kind in seen]
        rows.append([name, *(f"{counts[kind] / n:.2f}" for kind in kinds)])
    show(f"Power at level {LEVEL:g}: shares of {n} layers {SIDE} x {SIDE} rejected", ("departure", *kinds), rows)
    return checks


def rejections(draw: Draw, n: int, *, seed: tuple[int, int], replicates: int = REPLICATES) -> dict[str, int]:
    """Return how often each kind of test has a p-value of at most the level, over ``n`` layers."""
    counts = dict.fromkeys((*FITS, *SYMMETRIC), 0)
    for i in range(n):
        (layer,) = as_layers({"W": draw(np.random.default_rng((*seed, i)))})
        look = looked(layer, ALPHAS, most=SIDE * SIDE, replicates=replicates, address=(seed[0], i))
        for kind, test in judged([look.replicates], error=LEVEL)[0].items():
            counts[kind] += test.p_value <= LEVEL
    return counts
