"""Tables of a design file -> points: the product of every network's grid and every rule's grid."""

from collections.abc import Iterator
from itertools import product
from typing import Any

from simprune.design.layer_values import widened
from simprune.design.point import Point
from simprune.design.schema import DesignTable, NetworkTable
from simprune.model.chain import Chain
from simprune.model.distributions import DISTRIBUTIONS
from simprune.model.errors import InputError
from simprune.model.network import AbstractTarget, FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import AbstractPruningRule
from simprune.model.registry import find

MAX_POINTS = 10_000


def expand(table: DesignTable) -> tuple[list[Point], list[str]]:
    """Return the points in the order of the file, and a sentence for every mistake with its path."""
    rules = [(j, rule) for j, entry in enumerate(table.rules) for rule in entry.rules()]
    n_points = len(rules) * sum(_n_networks(entry) for entry in table.networks)
    if n_points > MAX_POINTS:
        return [], [f"a design must have at most {MAX_POINTS} points, got {n_points}; split the study"]
    points: dict[str, Point] = {}
    wrong: dict[str, None] = {}
    for i, entry in enumerate(table.networks):
        try:
            networks = list(_networks(entry))
        except InputError as error:
            wrong[f"networks[{i}]: {error}"] = None
            continue
        for network, (j, rule) in product(networks, rules):
            try:
                point = _point(table, network, rule)
            except InputError as error:
                wrong[f"rules[{j}] on networks[{i}]: {error}"] = None
                continue
            if points.setdefault(point.digest(), point) is not point:
                wrong[f"rules[{j}] on networks[{i}]: every point must appear once, got a repeated one; remove it"] = None
    return list(points.values()), list(wrong)


def _point(table: DesignTable, network: NetworkSpec, rule: AbstractPruningRule) -> Point:
    estimators = table.estimators
    return Point(network=network, rule=rule, estimators=estimators, seed=table.seed, precision=table.precision)


def _n_networks(entry: NetworkTable) -> int:
    laws = len(entry.distribution or [""]) * len(entry.K or [1.0])
    return len(entry.depth or [1]) * len(entry.width or [1]) * laws * len(entry.activations)


def _networks(entry: NetworkTable) -> Iterator[NetworkSpec]:
    for shape, target, activation in product(_shapes(entry), _targets(entry), entry.activations):
        network = NetworkSpec(**shape, activation=activation, target=target)
        network.check_size()
        yield network


def _shapes(entry: NetworkTable) -> Iterator[dict[str, Any]]:
    if entry.file:
        yield {"chain": entry.file.network.layers}
    elif entry.widths:
        yield {"widths": tuple(entry.widths)}
    elif entry.layers:
        for factor in entry.width or [1]:
            yield {"chain": Chain(input=tuple(entry.input or ()), layers=widened(entry.layers, factor))}
    else:
        for depth, width in product(entry.depth or [], entry.width or []):
            yield {"widths": (width,) * (depth + 1)}


def _targets(entry: NetworkTable) -> list[AbstractTarget]:
    if entry.file:
        return [FixedTarget(sha256=entry.file.network.sha256)]
    laws = product(entry.distribution or ["uniform"], entry.K or [1.0])
    return [SampledTarget(distribution=find(name, DISTRIBUTIONS, kind="distribution")(K=scale)) for name, scale in laws]
