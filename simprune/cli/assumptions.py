"""``simprune assumptions``: does the theory apply to the layers of a network?"""

import json
from pathlib import Path

import click


@click.command(short_help="Test whether the theory applies to a network.")
@click.argument("network", type=click.Path(path_type=Path))
@click.option("--alpha", "alphas", type=float, multiple=True, help="Pruning to look at, 0.1, 0.3, 0.5; may be repeated.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the simulations.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def assumptions(network: Path, *, alphas: tuple[float, ...], seed: int, as_json: bool) -> None:
    """Test the layers of the file NETWORK against i.i.d. weights: law, ties, positions of small weights, signs, dependence.

    Says which step of the proof fails first in each layer, and whether ||Delta|| keeps the theory's bound all the same.
    """
    from simprune.assumptions.check import ALPHAS, check_assumptions
    from simprune.assumptions.json_form import to_json
    from simprune.assumptions.report import render
    from simprune.trained.formats import read_weights

    weights = {weight.name: weight.values for weight in read_weights(network)}
    found = check_assumptions(weights, alphas=alphas or ALPHAS, seed=seed, origin=str(network))
    click.echo(json.dumps(to_json(found), indent=1, allow_nan=False) if as_json else render(found), nl=as_json)
