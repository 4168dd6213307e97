"""Small designs that use every kind of column, and the comparison of results bit for bit."""

from simprune.design.design import Design
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.activations import ReLU, Tanh
from simprune.model.chain import Chain
from simprune.model.distributions import Gaussian, Uniform
from simprune.model.layers import Conv2d, Dense, Flatten, MaxPool
from simprune.model.pruning import (
    BernoulliPruning,
    FilterMagnitudePruning,
    FilterRandomPruning,
    MagnitudePruning,
    RandomPruning,
)
from simprune.records import columns_of
from tests.conformance.cases import point, trained_cnn, trained_network

ESTIMATORS = (Ascent(restarts=4, steps=6, keep_witness=True), Sampled(samples=16), Spectral())
RULES = (MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.4), BernoulliPruning(pruned_fraction=0.25))


def mixed_design(*, trials: int) -> Design:
    """Two sampled networks in both precisions and a trained one, three rules each."""
    trained = trained_network((5, 7, 3))
    networks = [((6, 9, 4), ReLU(), Uniform(), "float32"), ((4, 4, 4, 4), Tanh(), Gaussian(), "float64")]
    cells = [
        point(widths, activation=a, law=law, rule=rule, estimators=ESTIMATORS, precision=precision)
        for widths, a, law, precision in networks
        for rule in RULES
    ]
    cells += [point((5, 7, 3), rule=rule, estimators=ESTIMATORS, trained=trained) for rule in RULES[1:]]
    return Design(cells=tuple(cells), trials=trials, networks={trained.sha256: trained})


TINY_CNN = Chain(
    input=(2, 4, 3),
    layers=(
        Conv2d(channels=3, kernel=(2, 2), padding=(1, 0)),
        MaxPool(kernel=(2, 1), stride=(2, 1)),
        Conv2d(channels=2, kernel=(1, 2), groups=1),
        Flatten(),
        Dense(width=2),
    ),
)


def conv_design(*, trials: int) -> Design:
    """A sampled and a trained network with convolutions, rules for entries and for filters."""
    trained = trained_cnn(TINY_CNN)
    rules = (*RULES, FilterMagnitudePruning(pruned_fraction=0.5), FilterRandomPruning(pruned_fraction=0.5))
    cells = [point(chain=TINY_CNN, law=Gaussian(), rule=rule, estimators=ESTIMATORS) for rule in rules]
    cells += [point(chain=TINY_CNN, rule=rule, estimators=ESTIMATORS, trained=trained) for rule in RULES[1:]]
    return Design(cells=tuple(cells), trials=trials, networks={trained.sha256: trained})


def whole_design(*, trials: int) -> Design:
    """All points of both designs."""
    mixed, conv = mixed_design(trials=trials), conv_design(trials=trials)
    networks = {**mixed.networks, **conv.networks}
    return Design(cells=(*mixed.cells, *conv.cells[:2], conv.cells[-1]), trials=trials, networks=networks)


def bytes_of(read, design: Design) -> list[tuple[str, str, bytes]]:
    """Every column of every point as ``read(point)`` returns it."""
    return [
        (point.digest(), spec.name, read(point)[spec.name].tobytes())
        for point in design.points()
        for spec in columns_of(point)
    ]
