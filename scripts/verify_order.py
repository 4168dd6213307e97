"""Order statistics behind magnitude pruning: the exact law of the threshold, its moments, and the pruned set and values.

The oracles are SciPy's laws and exact sums: H(T) ~ Beta(k + 1, D - k); given T the pruned set is a uniform k-subset and
the pruned values are independent with the law of W given |W| < T.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from scipy import stats
from verify_checks import Check, at_most, near, sure
from verify_session import ALPHAS, Session
from verify_table import show

import simprune
from simprune.analysis.thresholds import ks_p_value, threshold_tests
from simprune.design.point import Point
from simprune.gap.sampled import Sampled
from simprune.model.distributions import DISTRIBUTIONS
from simprune.model.pruning import MagnitudePruning
from simprune.records import TrialTable
from simprune.theory.order_statistics import beta_chernoff, beta_log_moments

LAYERS = (((8, 8), "float32"), ((64, 64), "float32"), ((64, 64), "float64"), ((20, 50), "float64"))
TRIALS = 20_000
ORDERS = (1, 2)
"""E T^2 and E T^4 are tested; higher moments are too skewed for a normal test."""
DELTAS = (0.3, 0.05, 0.001)
MASKS = 3000
MAGNITUDE_CDF: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uniform": lambda t: np.clip(t, 0.0, 1.0),
    "gaussian": stats.halfnorm.cdf,
    "laplace": stats.expon(scale=math.sqrt(0.5)).cdf,
}


def thresholds(session: Session) -> list[Check]:
    """Kolmogorov-Smirnov tests against the Beta law, moments of T, and Chernoff's form of its tail."""
    points = [
        session.point((d_in, d_out), MagnitudePruning(alpha=alpha), Sampled(samples=1), law=law(K=1.5), precision=precision)
        for law in DISTRIBUTIONS
        if law.is_continuous
        for (d_out, d_in), precision in LAYERS
        for alpha in ALPHAS
    ]
    checks, rows = [], []
    for table in session.rows(points, session.trials(TRIALS, least=100)):
        found, line = threshold_checks(table)
        checks += found
        rows.append(line)
    columns = ("law", "D", "alpha", "precision", "n", "KS p", "E T^2 / exact - 1", "E T^4 / exact - 1", "above Chernoff")
    notes = [f"above Chernoff: share of thresholds above the bounds of delta = {', '.join(map(str, DELTAS))}; K = 1.5"]
    show("Thresholds of magnitude pruning against H(T) ~ Beta(k + 1, D - k)", columns, rows, notes=notes)
    return [*checks, *chernoff()]


def threshold_checks(table: TrialTable) -> tuple[list[Check], tuple[object, ...]]:
    point = table.point
    law, (shape,), size, k = point.network.distribution, point.network.shapes, point.network.n_weights[0], point.n_pruned[0]
    assert law is not None
    where = f"{law.name}, D = {size}, alpha {point.rule.alpha}, {point.precision}"
    shares = MAGNITUDE_CDF[law.name](table["threshold"][:, 0] / law.scale(*shape))
    (own,) = threshold_tests(point, table["threshold"], index=0)
    statistic = float(stats.kstest(shares, stats.beta(k + 1, size - k).cdf).statistic)
    p = ks_p_value(statistic - own.allowance, len(shares))
    checks = [
        Check(f"{where}: thresholds against Beta({k + 1}, {size - k}), statistic {statistic:.4f}", p),
        sure(
            f"{where}: the analysis finds statistic {own.statistic}, SciPy {statistic}",
            abs(own.statistic - statistic) < 1e-6,
        ),
    ]
    deviations = []
    for order in ORDERS:
        powers, exact = shares ** (2 * order), exact_moment(size, k, 2 * order)
        error = math.sqrt((exact_moment(size, k, 4 * order) / exact**2 - 1.0) / len(powers))
        deviations.append((float(powers.mean()) / exact - 1.0, error))
        checks.append(near(f"{where}: E H(T)^{2 * order} / exact - 1", *deviations[-1], df=math.inf))
        logged = float(beta_log_moments(size, k, count=order)[-1])
        checks.append(sure(f"{where}: log moment {logged}", math.isclose(logged, math.log(exact), abs_tol=1e-9)))
    above = [int(np.count_nonzero(shares > beta_chernoff(size, k, delta=delta))) for delta in DELTAS]
    checks += [
        at_most(f"{where}: H(T) above Chernoff", n, len(shares), delta) for n, delta in zip(above, DELTAS, strict=True)
    ]
    cells = [f"{value:+.1e} +- {error:.0e}" for value, error in (deviations[0], deviations[-1])]
    told = " ".join(f"{n / len(shares):.4f}" for n in above)
    return checks, (law.name, size, point.rule.alpha, point.precision, len(shares), f"{p:.3f}", *cells, told)


def exact_moment(size: int, k: int, order: int) -> float:
    """Return E B^order = prod (k + 1 + i) / (D + 1 + i) in exact arithmetic."""
    return float(math.prod((Fraction(k + 1 + i, size + 1 + i) for i in range(order)), start=Fraction(1)))


def chernoff() -> list[Check]:
    """Chernoff's closed form holds against the exact tail on a grid of sizes, counts and levels."""
    worst, checks = 0.0, []
    for size in (10, 64, 1000, 4096, 10**6, 10**9):
        for k in sorted({max(1, round(size**power)) for power in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)}):
            for delta in (0.5, 0.05, 1e-3, 1e-6):
                bound = beta_chernoff(size, k, delta=delta)
                tail = float(stats.beta.sf(bound, k + 1, size - k)) if k < size else 0.0
                worst = max(worst, tail / delta)
                checks.append(sure(f"Chernoff at D = {size}, k = {k}: tail {tail:.3g} above {delta}", tail <= delta))
    print(f"\nChernoff's form on a grid of {len(checks)} cells: exact tail / delta is at most {worst:.3f}")
    return checks


def subsets(session: Session) -> list[Check]:
    """Positions of the pruned weights, their independence of T, and the law of the pruned values."""
    checks, rows = [], []
    trials = session.trials(MASKS, least=200)
    for law in DISTRIBUTIONS:
        if not law.is_continuous:
            continue
        for alpha in ALPHAS[:3]:
            point = session.point((8, 12), MagnitudePruning(alpha=alpha), Sampled(samples=1), law=law())
            found = subset_tests(point, trials)
            checks += found
            rows.append((law.name, alpha, trials, *(f"{check.p_value:.3f}" for check in found)))
    columns = ("law", "alpha", "n", "positions p", "independence p", "values p")
    notes = [
        "positions: chi-square of the counts; independence: first rows' counts by T below or above its median; values: KS"
    ]
    show("Pruned sets of 12 x 8 layers: uniform, independent of T, values i.i.d. given T", columns, rows, notes=notes)
    return checks


def subset_tests(point: Point, trials: int) -> list[Check]:
    rebuilt = [simprune.rebuild(point, trial) for trial in range(trials)]
    gone = np.stack([~trial.masks[0].ravel() for trial in rebuilt])
    size, k = gone.shape[1], point.n_pruned[0]
    magnitudes = np.abs(np.stack([trial.target[0].ravel() for trial in rebuilt]).astype(np.float64))
    scale = point.network.distribution
    assert scale is not None
    cdf, unit = MAGNITUDE_CDF[scale.name], scale.scale(*point.network.shapes[0])
    limits = np.where(gone, np.inf, magnitudes).min(axis=1)
    shares = cdf(magnitudes / unit) / cdf(limits / unit)[:, None]
    where = f"{scale.name}, alpha {point.rule.alpha}, 12 x 8"
    return [
        Check(f"{where}: positions of the pruned weights", positions_p(gone, k / size)),
        Check(f"{where}: pruned rows and thresholds", independence_p(gone[:, : size // 4].sum(axis=1), limits)),
        Check(f"{where}: pruned values given T", float(stats.kstest(shares[gone], "uniform").pvalue)),
    ]


def positions_p(gone: np.ndarray, share: float) -> float:
    """Counts of uniform k-subsets have covariance n p (1 - p) D / (D - 1) (I - 11' / D): chi-square with D - 1 degrees."""
    n, size = gone.shape
    variance = n * share * (1.0 - share) * size / (size - 1)
    statistic = float(np.sum((gone.sum(axis=0) - n * share) ** 2)) / variance
    return min(1.0, 2.0 * min(float(stats.chi2.sf(statistic, size - 1)), float(stats.chi2.cdf(statistic, size - 1))))


def independence_p(counts: np.ndarray, limits: np.ndarray) -> float:
    """Mann-Whitney test of the counts of small against large thresholds."""
    small = limits <= np.median(limits)
    if len(np.unique(counts)) == 1:
        return 1.0
    return float(stats.mannwhitneyu(counts[small], counts[~small]).pvalue)
