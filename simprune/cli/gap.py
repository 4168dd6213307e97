"""``simprune gap``: how far a pruned network's output can lie from its target's."""

import json
from pathlib import Path

import click

from simprune.cli.pair_options import chosen_activation, pair_options


@click.command(short_help="Bracket the gap between two networks.")
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("pruned", type=click.Path(path_type=Path))
@pair_options
@click.option("--witness", type=click.Path(path_type=Path), help="Write the input that attains the lower value (.npy).")
@click.option("--json", "as_json", is_flag=True, help="Print the bracket as JSON.")
def gap(  # noqa: PLR0913
    target: Path,
    pruned: Path,
    *,
    radius: float,
    center: str | None,
    activation: str | None,
    restarts: int,
    steps: int,
    seed: int,
    certificate: str,
    witness: Path | None,
    as_json: bool,
) -> None:
    """Bracket the largest ||f(x) - F(x)|| between the networks TARGET (F) and PRUNED (f) over a ball of inputs.

    Any two networks of the same architecture: PRUNED may differ in all its weights and biases. With --radius 0 and the
    witness as center the attained value comes out again.
    """
    from simprune.bracket.gap import GapMethod, network_gap
    from simprune.bracket.points import check_name, read_point, write_point
    from simprune.bracket.text import gap_text
    from simprune.trained.formats import read_network

    method = GapMethod(restarts=restarts, steps=steps, seed=seed, certificate=certificate)
    full, other = read_network(target), read_network(pruned)
    hidden = chosen_activation(activation, full if full.activation or not other.activation else other)
    point = None if center is None else read_point(center)
    if witness is not None:
        check_name(witness)
    found = network_gap(full, other, radius=radius, center=point, activation=hidden, method=method)
    if witness is not None:
        write_point(witness, found.witness)
    click.echo(json.dumps(found.to_dict(), indent=1) if as_json else gap_text(found))
