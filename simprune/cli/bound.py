"""``simprune bound``: what the theory promises for an architecture, itemised."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simprune.model.activations import ACTIVATIONS
from simprune.model.distributions import DISTRIBUTIONS
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import RULES, AbstractPruningRule
from simprune.model.registry import find

if TYPE_CHECKING:
    from simprune.theory.promise import Promise


@click.command(short_help="Evaluate what the theory promises.")
@click.option("--widths", help="Widths from input to output, e.g. 256,256,256.")
@click.option("--design", type=click.Path(path_type=Path), help="Every network and rule of a design file, instead.")
@click.option("--alpha", type=float, help="Exponent of the pruned count, floor(D^(1-alpha)) weights a layer.")
@click.option("--pruned-fraction", type=float, help="Share of the weights of every layer, instead of --alpha.")
@click.option("--rule", default="magnitude", show_default=True, help="Name of the rule, e.g. random.")
@click.option("--law", default="uniform", show_default=True, help="uniform, gaussian, laplace or rademacher.")
@click.option("--activation", default="relu", show_default=True, help="Name of the activation of all hidden layers.")
@click.option("--K", "scale", type=float, default=1.0, show_default=True, help="Scale: weights of size K / sqrt(max width).")
@click.option("--epsilon", type=float, help="Wanted gap; asks for the minimal width.")
@click.option("--delta", type=float, default=0.05, show_default=True, help="Probability that the bound may fail.")
@click.option("--fixed-ends", is_flag=True, default=None, help="Only hidden widths grow (as where the widths differ).")
@click.option("--counts", is_flag=True, help="With --epsilon: the largest certified numbers of weights that may go.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def bound(widths: str | None, *, design: Path | None, as_json: bool, **asked: Any) -> None:
    """Print the a-priori bound of the gap with its failure budget, the minimal width and the prunable counts.

    The constants are this project's own, with proofs; the paper publishes none.
    """
    if (widths is None) == (design is None):
        raise InputError(f"a bound must have either --widths or --design, got {'both' if widths else 'neither'}; give one")
    if design is not None:
        _of_design(design, as_json=as_json, asked=asked)
        return
    assert widths is not None
    told = _told(*_network(widths, asked), asked)
    click.echo(_json(told.to_dict()) if as_json else _text(told))


def _network(widths: str, asked: Mapping[str, Any]) -> tuple[NetworkSpec, AbstractPruningRule]:
    law = find(asked["law"], DISTRIBUTIONS, kind="law")(K=asked["scale"])
    network = NetworkSpec(
        widths=_widths(widths),
        activation=find(asked["activation"], ACTIVATIONS, kind="activation")(),
        target=SampledTarget(distribution=law),
    )
    return network, find(asked["rule"], RULES, kind="rule")(alpha=asked["alpha"], pruned_fraction=asked["pruned_fraction"])


def _of_design(path: Path, *, as_json: bool, asked: Mapping[str, Any]) -> None:
    from simprune.analysis.wording import facts
    from simprune.design.file import load_design

    if asked["alpha"] is not None or asked["pruned_fraction"] is not None:
        raise InputError("a design must bring its own amounts, got --alpha or --pruned-fraction; leave that out")
    points = load_design(path).points()
    promises = [_told(point.network, point.rule, asked) for point in points]
    if as_json:
        click.echo(_json([told.to_dict() for told in promises]))
        return
    for point, told in zip(points, promises, strict=True):
        known = facts(point)
        about = ", ".join(known[key] for key in ("widths", "depth", "activation", "weights", "rule", "amount"))
        click.echo(f"{about}\n{_text(told)}\n")


def _told(network: NetworkSpec, rule: AbstractPruningRule, asked: Mapping[str, Any]) -> "Promise":
    from simprune.theory.promise import promise

    options = {key: asked[key] for key in ("delta", "epsilon", "fixed_ends", "counts")}
    return promise(network, rule, **options)


def _text(told: "Promise") -> str:
    from simprune.theory.promise_text import promise_text

    return promise_text(told)


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False)


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"widths must be whole numbers with commas between, got '{text}'; write e.g. 256,256,256") from None
