"""``simprune info``, ``verify`` and ``pack``: commands on stored results."""

from pathlib import Path

import click

from simprune.cli.progress import FORMS
from simprune.model.errors import InputError

RESULTS = click.argument("results", type=click.Path(path_type=Path))
MAX_TOLD = 20


@click.command(short_help="Tell what results hold.")
@RESULTS
@click.option("--watch", "watching", is_flag=True, help="Follow the run that is writing RESULTS; reads only.")
@click.option("--progress", "form", type=click.Choice(FORMS), default="auto", help="With --watch: auto, or JSON lines.")
def info(results: Path, *, watching: bool, form: str) -> None:
    """Tell what RESULTS hold: points, trials, what failed, and what made them.

    --watch shows how far the run is until it is complete or Ctrl-C; the run does not notice.
    """
    if watching:
        from simprune.cli.watch import watch

        if not watch(results, form=form):
            return
    from simprune.analysis.layout import arrange, table
    from simprune.store.results import open_results

    opened = open_results(results)
    done = [sum(stop - first for first, stop in opened.completed(point)) for point in opened.points]
    click.echo(f'"{opened.name}": {len(opened.points)} points, {sum(done)} of {opened.trials * len(opened.points)} rows')
    arrangement = arrange(opened.points)
    click.echo(f"all points: {arrangement.shared}\n")
    groups = [
        (group.heading, [[label, opened.digest(opened.points[i])[:16], str(done[i])] for i, label in group.rows])
        for group in arrangement.groups
    ]
    click.echo(table([arrangement.label, "point", "trials"], groups) + "\n")
    for stop in opened.stops:
        click.echo(f"enough: point {stop.digest[:16]}, {stop.trials} trials: {stop.reason}")
    for failure in opened.failed:
        click.echo(f"failed: point {failure.digest[:16]}, trials {failure.first}..{failure.stop - 1}: {failure.reason}")
    for name, reason in opened.problems.items():
        click.echo(f"damaged: {name}: {reason}")
    for key, value in opened.provenance.items():
        click.echo(f"{key}: {value}")


@click.command(short_help="Check results, bit for bit if asked.")
@RESULTS
@click.option("--recompute", "n", type=click.IntRange(min=0), default=0, help="Compute N random trials again, bit for bit.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Which trials are chosen.")
def verify(results: Path, *, n: int, seed: int) -> None:
    """Check all checksums of RESULTS, and optionally compute random trials again from the stored design alone."""
    from simprune.store.verify import check

    findings = check(results)
    for finding in findings:
        click.echo(f"{'ok ' if finding.ok else 'BAD'} {finding.where}: {finding.text}")
    bad = sum(not finding.ok for finding in findings)
    differing = _recompute(results, n=n, seed=seed) if n else 0
    if bad or differing:
        raise InputError(
            f"{results} must be whole, got {bad} bad places and {differing} differing trials; see the lines above"
        )
    click.echo("everything agrees")


def _recompute(results: Path, *, n: int, seed: int) -> int:
    from simprune.api import open_backend, settle_backend
    from simprune.engine import recompute
    from simprune.store.results import open_results

    opened = open_results(results, trusted=True)  # every checksum was compared a moment ago
    name = settle_backend("auto", provenance=opened.provenance)
    mismatches = recompute(opened, open_backend(name, threads=1), n=n, seed=seed)
    for mismatch in mismatches[:MAX_TOLD]:
        point = opened.digest(mismatch.point)[:16]
        stored, computed = mismatch.stored, mismatch.computed
        click.echo(f"BAD point {point} trial {mismatch.trial} {mismatch.column}: stored {stored}, computed {computed}")
    stored_rows = sum(stop - first for point in opened.points for first, stop in opened.completed(point))
    differing = len({(mismatch.point, mismatch.trial) for mismatch in mismatches})
    click.echo(f"computed {min(n, stored_rows)} trials again on the {name} backend: {differing} differ")
    return differing


@click.command(short_help="Merge results into one file.")
@RESULTS
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The file to write (RESULTS.h5).")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def pack(results: Path, *, out: Path | None, force: bool) -> None:
    """Merge the results folder RESULTS into one file for xarray, h5py, MATLAB or Julia; the folder stays."""
    from simprune.store.pack import pack as write

    named = results if results.name else results.resolve()
    target = out or named.with_name(f"{named.name}.h5")
    if target.exists() and not force:
        raise InputError(f"the packed file must be new, {target} exists; name another with -o, or give --force")
    write(results, target, overwrite=force)
    click.echo(f"wrote {target} ({target.stat().st_size / 1e6:.2f} MB)")
