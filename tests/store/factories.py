"""Points, designs and batches of random rows that no backend has computed."""

import zlib

import numpy as np

from simprune.design.design import Design
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.gap.spectral import Spectral
from simprune.model.activations import ReLU
from simprune.model.distributions import Uniform
from simprune.model.network import FixedTarget, NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.records import Column, TrialBatch, TrialTable, column_shape, columns_of
from simprune.trained.network import TrainedNetwork


def a_point(*, alpha: float = 0.5, seed: int = 1, widths: tuple[int, ...] = (3, 5, 2), witness: bool = False) -> Point:
    network = NetworkSpec(widths=widths, activation=ReLU(), target=SampledTarget(distribution=Uniform()))
    estimators = (Spectral(), Ascent(keep_witness=witness))
    return Point(network=network, rule=MagnitudePruning(alpha=alpha), estimators=estimators, seed=seed)


def a_network(seed: int = 0) -> TrainedNetwork:
    random = np.random.default_rng(seed)
    weights = (random.normal(size=(4, 4)).astype("f4"), random.normal(size=(2, 4)))
    return TrainedNetwork(weights=weights, biases=(random.normal(size=4), np.zeros(2)), origin="made up")


def a_fixed_point(network: TrainedNetwork) -> Point:
    spec = NetworkSpec(widths=network.widths, activation=ReLU(), target=FixedTarget(sha256=network.sha256))
    return Point(network=spec, rule=RandomPruning(alpha=0.5), estimators=(Ascent(),), seed=2)


def a_design(*points: Point, trials: int = 100, networks: tuple[TrainedNetwork, ...] = ()) -> Design:
    cells = points or (a_point(), a_point(alpha=0.25, witness=True))
    by_digest = {network.sha256: network for network in networks}
    return Design(cells=cells, trials=trials, name="made up", epsilons=(0.1, 0.2), networks=by_digest, text="trials = 100\n")


def rows_of(point: Point, trial: int, name: str, shape: tuple[int, ...], dtype: str) -> Column:
    """One row of one column; a pure function of its address, as rows of a backend are."""
    random = np.random.default_rng([zlib.crc32(name.encode()), int(point.digest()[:8], 16), trial])
    if dtype == "<i8":
        return random.integers(-(1 << 40), 1 << 40, size=shape)
    return np.where(random.random(shape) < 0.1, np.nan, random.normal(size=shape))


def a_batch(point: Point, first: int, stop: int, **info: object) -> TrialBatch:
    columns: dict[str, Column] = {}
    for spec in columns_of(point):
        shape = column_shape(spec, point, 1)[1:]
        rows = [rows_of(point, trial, spec.name, shape, spec.dtype) for trial in range(first, stop)]
        columns[spec.name] = np.array(rows, dtype=spec.dtype).reshape(column_shape(spec, point, stop - first))
    columns["trial"] = np.arange(first, stop, dtype="<i8")
    return TrialBatch(point=point, first=first, stop=stop, columns=columns, info=info)


def a_quick_batch(point: Point, first: int, stop: int) -> TrialBatch:
    """Rows for tests of size and order, made by arithmetic on point, column, trial and place."""
    trials = np.arange(first, stop, dtype="<i8")
    columns: dict[str, Column] = {}
    start = int(point.digest()[:6], 16)
    for spec in columns_of(point):
        start += 1000
        shape = column_shape(spec, point, stop - first)
        rising = (
            start + trials.reshape((-1, *(1 for _ in shape[1:]))) * 3 + np.arange(int(np.prod(shape[1:]))).reshape(shape[1:])
        )
        columns[spec.name] = np.broadcast_to(rising, shape).astype(spec.dtype)
    return TrialBatch(point=point, first=first, stop=stop, columns=columns | {"trial": trials}, info={})


def equal(table: TrialTable, batch: TrialBatch) -> bool:
    """Whether the table holds exactly the bytes of the batch."""
    return list(table) == [spec.name for spec in columns_of(batch.point)] and all(
        table[name].dtype == batch.columns[name].dtype
        and table[name].shape == batch.columns[name].shape
        and table[name].tobytes() == batch.columns[name].tobytes()
        for name in table
    )
