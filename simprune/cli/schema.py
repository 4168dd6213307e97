"""``simprune schema``: the format of stored results."""

import click


@click.command(short_help="Print the format of stored results.")
def schema() -> None:
    """Print the columns, types, axes, units and attributes of results folders and packed files, and their version."""
    from simprune.store.schema import schema_text

    click.echo(schema_text(), nl=False)
