"""``simprune budget``: how many weights may go for a given epsilon."""

import json
from pathlib import Path

import click

from simprune.cli.pair_options import chosen_activation, pair_options


@click.command(short_help="Tell how much may be pruned for an epsilon.")
@click.argument("network", type=click.Path(path_type=Path))
@click.option("--epsilon", type=float, required=True, help="The gap that is allowed.")
@click.option("--rule", default="magnitude", show_default=True, help="magnitude or random.")
@pair_options
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def budget(  # noqa: PLR0913
    network: Path,
    *,
    epsilon: float,
    rule: str,
    radius: float,
    center: str | None,
    activation: str | None,
    restarts: int,
    steps: int,
    seed: int,
    certificate: str,
    as_json: bool,
) -> None:
    """Find how many weights of NETWORK may go, from each layer alone and from all, so that the gap is at most EPSILON.

    Certified counts keep the gap below epsilon for sure; at the count where it breaks, an input with a larger gap is known.
    """
    from simprune.bracket.budget import BUDGET_FLOPS, Budget
    from simprune.bracket.gap import GapMethod
    from simprune.bracket.points import read_point
    from simprune.bracket.text import budget_text
    from simprune.trained.formats import read_network

    trained = read_network(network)
    asked = Budget(
        network=trained,
        epsilon=epsilon,
        rule=rule,
        radius=radius,
        center=None if center is None else read_point(center),
        activation=chosen_activation(activation, trained),
        method=GapMethod(restarts=restarts, steps=steps, seed=seed, certificate=certificate, most_flops=BUDGET_FLOPS),
    )
    lines = asked.lines()
    click.echo(json.dumps([line.to_dict() for line in lines], indent=1) if as_json else budget_text(lines, epsilon=epsilon))
