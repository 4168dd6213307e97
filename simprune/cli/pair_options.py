"""Options that ``gap`` and ``budget`` share: the ball of inputs, the activation and the method."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from simprune.model.activations import ACTIVATIONS, AbstractActivation
from simprune.model.registry import find

if TYPE_CHECKING:
    from simprune.trained.network import TrainedNetwork

_OPTIONS = (
    click.option("--radius", type=float, default=1.0, show_default=True, help="Radius of the ball of inputs (Euclidean)."),
    click.option("--center", type=click.Path(), help="File with the center of the ball (.npy, or text); default: 0."),
    click.option("--activation", help="Name of the hidden activation where the file names none.  [default: relu]"),
    click.option("--restarts", type=int, default=32, show_default=True, help="Starts of the ascent."),
    click.option("--steps", type=int, default=200, show_default=True, help="Steps of the ascent."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the starts and of random masks."),
    click.option("--certificate", default="auto", show_default=True, help="auto, spectral or semidefinite."),
)


def pair_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_activation(name: str | None, network: "TrainedNetwork") -> AbstractActivation:
    """Return the named activation, else that of the file, else ReLU with a word about it."""
    if name is not None:
        return find(name, ACTIVATIONS, kind="activation")()
    if network.activation is None:
        click.echo(f"{network.origin} names no activation: relu is taken (--activation)", err=True)
        return find("relu", ACTIVATIONS, kind="activation")()
    return network.activation
