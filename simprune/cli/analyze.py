"""``simprune analyze``: the tables of a study."""

from pathlib import Path

import click


@click.command(short_help="Print the tables of a study.")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--epsilon", "epsilons", type=float, multiple=True, help="Print P(gap <= EPSILON); may be repeated.")
@click.option("--delta", type=float, help="Tolerated probability of a gap above epsilon.")
@click.option("--tail", "tails", type=float, multiple=True, help="Extrapolate the 1 - TAIL quantile; may be repeated.")
@click.option("--bands", is_flag=True, help="Add simultaneous intervals to the tables of quantiles and probabilities.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole summary as JSON.")
def analyze(
    results: Path, *, epsilons: tuple[float, ...], delta: float | None, tails: tuple[float, ...], bands: bool, as_json: bool
) -> None:
    """Print quantiles, probabilities, exponents and tests of RESULTS, also while a run is writing to them.

    Epsilon and delta default to those of the design. Every interval says what it covers.
    """
    from simprune.analysis.json_form import to_text
    from simprune.analysis.report import render
    from simprune.analysis.summarize import summarize
    from simprune.store.results import open_results

    summary = summarize(open_results(results), epsilons=epsilons or None, delta=delta, tails=tails)
    click.echo(to_text(summary) if as_json else render(summary, bands=bands), nl=False)
