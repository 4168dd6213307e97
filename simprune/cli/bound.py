"""``simprune bound``: what the theory promises for an architecture, itemised."""

import json
from typing import Any

import click

from simprune.model.activations import ACTIVATIONS
from simprune.model.distributions import DISTRIBUTIONS
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RULES
from simprune.model.registry import find


@click.command(short_help="Evaluate what the theory promises.")
@click.option("--widths", required=True, help="Widths from input to output, e.g. 256,256,256.")
@click.option("--alpha", type=float, help="Exponent of the pruned count, floor(D^(1-alpha)) weights a layer.")
@click.option("--pruned-fraction", type=float, help="Share of the weights of every layer, instead of --alpha.")
@click.option("--rule", default="magnitude", show_default=True, help="magnitude, random or bernoulli.")
@click.option("--law", default="uniform", show_default=True, help="uniform, gaussian, laplace or rademacher.")
@click.option("--activation", default="relu", show_default=True, help="Name of the activation of all hidden layers.")
@click.option("--K", "scale", type=float, default=1.0, show_default=True, help="Scale: weights of size K / sqrt(max width).")
@click.option("--epsilon", type=float, help="Wanted gap; asks for the minimal width.")
@click.option("--delta", type=float, default=0.05, show_default=True, help="Probability that the bound may fail.")
@click.option("--fixed-ends", is_flag=True, default=None, help="Only hidden widths grow (as where the widths differ).")
@click.option("--counts", is_flag=True, help="With --epsilon: the largest certified numbers of weights that may go.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def bound(widths: str, *, as_json: bool, **asked: Any) -> None:
    """Print the a-priori bound of the gap with its failure budget, the minimal width and the prunable counts.

    The constants are this project's own, with proofs; the paper publishes none.
    """
    from simprune.theory.promise import promise
    from simprune.theory.promise_text import promise_text

    law = find(asked["law"], DISTRIBUTIONS, kind="law")(K=asked["scale"])
    network = NetworkSpec(
        widths=_widths(widths),
        activation=find(asked["activation"], ACTIVATIONS, kind="activation")(),
        target=SampledTarget(distribution=law),
    )
    rule = find(asked["rule"], RULES, kind="rule")(alpha=asked["alpha"], pruned_fraction=asked["pruned_fraction"])
    told = promise(
        network,
        rule,
        delta=asked["delta"],
        epsilon=asked["epsilon"],
        fixed_ends=asked["fixed_ends"],
        counts=asked["counts"],
    )
    click.echo(json.dumps(told.to_dict(), indent=1, allow_nan=False) if as_json else promise_text(told))


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"widths must be whole numbers with commas between, got '{text}'; write e.g. 256,256,256") from None
