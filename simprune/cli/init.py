"""``simprune init``: write a commented design file."""

from pathlib import Path

import click

from simprune.design.template import PRESETS
from simprune.model.errors import InputError


@click.command(short_help="Write a commented design file.")
@click.argument("file", type=click.Path(path_type=Path), default=Path("design.toml"))
@click.option("--preset", type=click.Choice(sorted(PRESETS)), default="sampled", help="Random or trained networks.")
def init(file: Path, *, preset: str) -> None:
    """Write a commented design FILE (design.toml) to start from; nothing is ever overwritten."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(PRESETS[preset])
    except FileExistsError:
        raise InputError(f"the design file must be new, {file} exists; name another one") from None
    click.echo(f"wrote {file}; next: simprune run {file} --dry-run")
