"""``simprune compare``: two points, trial by trial on the same target networks."""

from pathlib import Path

import click


@click.command(short_help="Compare rules or estimators trial by trial.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option("--point-a", metavar="DIGEST", help="The point of A, by the first digits of its digest (simprune info).")
@click.option("--point-b", metavar="DIGEST", help="The point of B.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def compare(a: Path, b: Path | None, *, point_a: str | None, point_b: str | None, as_json: bool) -> None:
    """Compare points of the results A and B (or two points of A) whose trials prune the same target networks.

    Without named points: all pairs on the same targets with the same amount pruned.
    """
    from simprune.analysis.compare import compare as compared
    from simprune.analysis.json_form import to_text
    from simprune.analysis.report_comparison import render_comparison
    from simprune.store.results import open_results

    first = open_results(a)
    second = first if b is None or b.resolve() == a.resolve() else open_results(b)
    found = compared(first, second, point_a=point_a, point_b=point_b)
    click.echo(to_text(found) if as_json else render_comparison(found), nl=False)
