"""The smallest width from which a bound stays below epsilon: scanned, and rigorous beyond the scan by the closed form."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.theory.bounds import apriori_bound
from simprune.theory.closed_form import closed_form

MAX_WIDTH = 1 << 34


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalWidth:
    """``width``: the bound is at most epsilon at all evaluated widths from here to ``scanned``; None if it is not there.

    ``proved_from``: the closed form's envelope is at most epsilon at this and every larger width; None if unknown.
    ``grows`` says which widths are d.
    """

    width: int | None
    scanned: int
    proved_from: int | None = None
    grows: str = "all widths d"


def minimal_width(
    bound: Callable[[int], float], epsilon: float, *, smallest: int = 8, largest: int = MAX_WIDTH
) -> MinimalWidth:
    """Scan doubling widths, take the last failure, bisect to 0.5 %.

    Counts are floors, so a bound is slightly non-monotone in the width: the answer is about the evaluated widths.

    >>> minimal_width(lambda d: 100 / d, 0.5, largest=4096).width
    200
    """
    grid = [smallest]
    while grid[-1] * 2 <= largest:
        grid.append(grid[-1] * 2)
    failing = next((d for d in reversed(grid) if bound(d) > epsilon), 0)
    if failing == grid[-1]:
        return MinimalWidth(width=None, scanned=grid[-1])
    low, high = (failing, failing * 2) if failing else (0, smallest)
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) <= epsilon else (middle, high)
    return MinimalWidth(width=high, scanned=grid[-1])


def minimal_network_width(
    network: NetworkSpec,
    rule: AbstractPruningRule,
    *,
    epsilon: float,
    delta: float,
    fixed_ends: bool = False,
    largest: int = MAX_WIDTH,
) -> MinimalWidth:
    """Return d*(epsilon, delta) for the depth, law, activation and rule of ``network``.

    All widths are d, or with ``fixed_ends`` the hidden ones only, d_0 and d_L being those of ``network``.

    >>> from simprune.model import activations, distributions, network, pruning
    >>> target = network.SampledTarget(distribution=distributions.Uniform())
    >>> net = network.NetworkSpec(widths=(64,) * 3, activation=activations.ReLU(), target=target)
    >>> minimal_network_width(net, pruning.MagnitudePruning(alpha=0.5), epsilon=0.1, delta=0.05).width
    19
    """
    if not 0.0 < epsilon < float("inf"):
        raise InputError(f"epsilon must be positive and finite, got {epsilon}; it is the wanted gap")
    if network.chain is not None:
        raise InputError(
            "a minimal width is of a fully connected network, got convolutions; compare bounds of several widths"
        )
    if fixed_ends and network.depth < 2:
        raise InputError("fixed ends need a hidden layer, got one weight matrix; let all widths grow")

    def at(d: int) -> float:
        ends = (network.widths[0], network.widths[-1]) if fixed_ends else (d, d)
        widths = (ends[0], *(d,) * (network.depth - 1), ends[1])
        return apriori_bound(dataclasses.replace(network, widths=widths), rule, delta=delta).gap

    found = minimal_width(at, epsilon, largest=largest)
    if fixed_ends:
        grows = f"hidden widths d; ends {network.widths[0]} and {network.widths[-1]}"
        return dataclasses.replace(found, grows=grows)
    form = closed_form(network, rule, delta=delta)
    return dataclasses.replace(found, proved_from=None if form is None else form.width(epsilon))
