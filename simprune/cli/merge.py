"""``simprune merge``: several results of one design become one."""

from pathlib import Path

import click


@click.command(short_help="Put results of one design together.")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="The new results folder.")
def merge(results: tuple[Path, ...], *, out: Path) -> None:
    """Put several RESULTS of one design (folders or packed files, e.g. of shares) into one new results folder.

    Trials that several hold must agree bit for bit. Killed in the middle, the same command goes on.
    """
    from simprune.store.merging import merge as write

    made = write(results, out)
    twice = f" ({made.n_equal} of them held more than once, all equal)" if made.n_equal else ""
    click.echo(f"merged {made.n_rows} rows{twice} into {out}; read them with: simprune analyze {out}")
