"""``simprune prune``: a pruned copy of a trained network, in its own format."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from simprune.model.errors import InputError
from simprune.model.pruning import RULES, PerLayer
from simprune.model.registry import find

if TYPE_CHECKING:
    from simprune.model.pruning import AbstractPruningRule
    from simprune.trained.network import TrainedNetwork


@click.command(short_help="Prune a trained network.")
@click.argument("network", type=click.Path(path_type=Path))
@click.option("--rule", default="magnitude", show_default=True, help="A rule as in design files.")
@click.option("--alpha", help="floor(D^(1-alpha)) of a layer's D weights go; one number, or one a layer with commas.")
@click.option("--fraction", help="Share of the weights that goes; one number, or one a layer with commas.")
@click.option("--per-layer", "counts", help="Numbers of weights that go, one a layer with commas.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random rules.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="The file to write, in the same format.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def prune(
    network: Path,
    *,
    rule: str,
    alpha: str | None,
    fraction: str | None,
    counts: str | None,
    seed: int,
    out: Path,
    force: bool,
) -> None:
    """Write NETWORK (npz, NNet, safetensors, ONNX) again with pruned weights 0 and the masks (True = kept) added."""
    from simprune.bracket.masks import prune_masks
    from simprune.bracket.text import pruned_text
    from simprune.trained.formats import masks_beside, read_network, write_pruned

    if out.exists() and (not force or out.resolve() == network.resolve()):
        raise InputError(f"the pruned network must be a new file, {out} exists; name another, or replace it with --force")
    trained = read_network(network)
    masks = prune_masks(trained, _rule(rule, alpha, fraction, counts, trained), seed=seed)
    write_pruned(network, out, masks)
    click.echo(pruned_text(masks))
    beside = f", masks in {masks_beside(out)}" if out.suffix.lower() == ".nnet" else " with its masks"
    click.echo(f"wrote {out}{beside}")


def _rule(
    name: str, alpha: str | None, fraction: str | None, counts: str | None, network: "TrainedNetwork"
) -> "AbstractPruningRule":
    from simprune.bracket.masks import rule_with_counts

    given = {"--alpha": alpha, "--fraction": fraction, "--per-layer": counts}
    named = [option for option, text in given.items() if text is not None]
    if len(named) != 1:
        raise InputError(f"give one of --alpha, --fraction and --per-layer, got {' and '.join(named) or 'none'}")
    if counts is not None:
        return rule_with_counts(name, [_whole(part) for part in counts.split(",")], network)
    return find(name, RULES, kind="rule")(alpha=_amounts(alpha), pruned_fraction=_amounts(fraction))


def _amounts(text: str | None) -> PerLayer | None:
    if text is None:
        return None
    try:
        amounts = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"amounts must be numbers with commas between, got '{text}'; write e.g. 0.1,0.2") from None
    return amounts[0] if len(amounts) == 1 else amounts


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"counts must be whole numbers with commas between, got '{text}'; write e.g. 800,400,60") from None
