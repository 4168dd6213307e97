"""Branch and bound of tiny networks: how close the bracket is, and what it costs."""

import time

import numpy as np
from bench_clock import head, row

from simprune.backends.cpu import CpuBackend
from simprune.design.block import Block
from simprune.design.point import Point
from simprune.gap.exact import Exact
from simprune.model.activations import ReLU, Tanh
from simprune.model.distributions import Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RandomPruning

CASES = (
    (ReLU(), (2, 16, 16, 4)),
    (ReLU(), (3, 16, 16, 4)),
    (Tanh(), (3, 16, 16, 4)),
    (ReLU(), (4, 16, 4)),
    (ReLU(), (4, 16, 16, 4)),
    (Tanh(), (4, 16, 16, 4)),
    (ReLU(), (4, 16, 16, 16, 4)),
    (ReLU(), (4, 32, 32, 4)),
    (ReLU(), (4, 64, 64, 4)),
    (ReLU(), (5, 16, 16, 4)),
    (ReLU(), (6, 16, 4)),
    (ReLU(), (784, 2, 10)),
    (ReLU(), (784, 3, 10)),
)


def exact() -> None:
    head("Branch and bound to 1 %: random pruning of 30 %, uniform weights, 5 trials; the ascent of 64 starts is included")
    for activation, widths in CASES:
        network = NetworkSpec(widths=widths, activation=activation, target=SampledTarget(distribution=Uniform()))
        rule = RandomPruning(pruned_fraction=0.3)
        cell = Point(network=network, rule=rule, estimators=(Exact(),), seed=1)
        backend = CpuBackend()
        backend.run(Block(points=(cell,), first=0, stop=1))
        ratios, seconds = [], []
        for trial in range(5):
            start = time.process_time()
            columns = backend.run(Block(points=(cell,), first=trial, stop=trial + 1))[0].columns
            seconds.append(time.process_time() - start)
            ratios.append(float(columns["gap_upper"][0] / columns["gap_lower"][0]))
        name = f"{'-'.join(map(str, widths))} {activation.name}"
        told = f"{np.median(seconds):.3g} s a trial (largest {max(seconds):.3g} s), at most {max(ratios):.4f}"
        row(
            name,
            told,
            "upper / lower 1.0101" if widths[0] <= 4 else "",
            met=max(ratios) <= 1.0101 if widths[0] <= 4 else None,
        )
