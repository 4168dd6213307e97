"""Attained gaps against certificates over everything the package offers: no certificate may lie below an attained gap."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
from verify_checks import Check, sure
from verify_gaps import told
from verify_session import Session
from verify_table import show

from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.base import AbstractGapEstimator
from simprune.gap.semidefinite import Semidefinite
from simprune.gap.spectral import Spectral
from simprune.model.activations import ACTIVATIONS, ReLU
from simprune.model.distributions import DISTRIBUTIONS
from simprune.model.network import FixedTarget, NetworkSpec
from simprune.model.pruning import RULES
from simprune.records import Status, TrialTable
from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import read_npz

DEPTHS = (1, 2, 3, 4)
TRIALS = 6
AMOUNTS = ({"alpha": 0.1}, {"alpha": 0.5}, {"pruned_fraction": 0.5})
LOWER = Ascent(restarts=16, steps=60)
UPPERS: tuple[AbstractGapEstimator, ...] = (Spectral(), Semidefinite())
DIGITS = Path(__file__).resolve().parent.parent / "data" / "networks" / "digits_mlp.npz"
SCALES = (0.3, 1.0, 3.0)
"""Sizes of the weights of trained networks, in units of 1 / sqrt(d_in)."""


def coverage(session: Session) -> list[Check]:
    rng = np.random.default_rng(session.seed)
    trials, step = session.trials(TRIALS, least=1), max(1, round(1.0 / (TRIALS * session.scale)))
    tables: list[TrialTable] = []
    for upper in UPPERS:
        tables += session.rows(sampled(session, upper, rng)[::step], trials)
        points, networks = trained(session, upper, rng)
        tables += session.rows(points[::step], trials, networks=networks)
    return judged(tables)


def sampled(session: Session, upper: AbstractGapEstimator, rng: np.random.Generator) -> list[Point]:
    """Return the points of every law, activation, depth, rule and amount, with random widths 8 .. 48."""
    settings = list(zip(DEPTHS, (0.5, 1.0, 2.0, 5.0), ("float32", "float64") * 2, strict=True))
    points: list[Point] = []
    for law in DISTRIBUTIONS:
        for activation in ACTIVATIONS:
            for depth, size, precision in settings:
                widths = rng.integers(8, 49, depth + 1).tolist()
                points += [
                    session.point(
                        widths, rule(**amount), LOWER, upper, law=law(K=size), activation=activation(), precision=precision
                    )
                    for rule in RULES
                    for amount in AMOUNTS
                ]
    return points


def trained(
    session: Session, upper: AbstractGapEstimator, rng: np.random.Generator
) -> tuple[list[Point], dict[str, TrainedNetwork]]:
    """Return fixed networks with biases: random ones of every activation, and the network trained on digits."""
    cases = [
        (activation(), network(rng.integers(8, 49, depth + 1).tolist(), size, rng))
        for activation in ACTIVATIONS
        for depth in DEPTHS
        for size in SCALES
    ]
    cases.append((ReLU(), read_npz(DIGITS)))
    rules = [rule(**amount) for rule in RULES for amount in AMOUNTS[::2]]
    points = [
        Point(
            network=NetworkSpec(widths=net.widths, activation=activation, target=FixedTarget(sha256=net.sha256)),
            rule=rule,
            estimators=(LOWER, upper),
            seed=session.seed,
        )
        for activation, net in cases
        for rule in rules
    ]
    return points, {net.sha256: net for _, net in cases}


def network(widths: list[int], size: float, rng: np.random.Generator) -> TrainedNetwork:
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    return TrainedNetwork(
        weights=tuple(rng.normal(0.0, size / math.sqrt(d_in), (d_out, d_in)).astype(np.float32) for d_out, d_in in shapes),
        biases=tuple(rng.normal(0.0, 0.5, d_out).astype(np.float32) for d_out, _ in shapes),
        origin="verification",
    )


def judged(tables: list[TrialTable]) -> list[Check]:
    seen: Counter[tuple[str, str]] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    uncertified: Counter[tuple[str, str]] = Counter()
    closest: dict[tuple[str, str], float] = {}
    checks = []
    for table in tables:
        upper = next(e.name for e in table.point.estimators if e.side == "upper")
        case = (upper, table.point.network.activation.name)
        attained, certified = table["gap_lower"], table["gap_upper"]
        below = int(np.count_nonzero(attained > certified))
        seen[case] += len(attained)
        wrong[case] += below
        uncertified[case] += int(np.count_nonzero(table["status"] & int(Status.NOT_CERTIFIED)))
        positive = certified > 0.0
        share = float(np.max(attained[positive] / certified[positive], initial=0.0))
        closest[case] = max(closest.get(case, 0.0), share)
        checks.append(sure(f"{told(table.point)}: {below} of {len(attained)} {upper} certificates below", below == 0))
    rows = [(*case, seen[case], uncertified[case], f"{closest[case]:.5f}", wrong[case]) for case in seen]
    total = (f"all ({len(tables)} points)", "", sum(seen.values()), sum(uncertified.values()), "", sum(wrong.values()))
    columns = ("certificate", "activation", "trials", "uncertified", "largest attained/certified", "below")
    notes = [
        "all laws, rules and depths 1 .. 4, widths 8 .. 48, K = 0.5 .. 5, float32 and float64, biased and trained targets"
    ]
    show("Certificates against attained gaps (noise floor subtracted)", columns, [*rows, total], notes=notes)
    checks.append(sure("every row is certified", not sum(uncertified.values())))
    return checks
