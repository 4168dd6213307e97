"""``simprune job-script``: a batch file that runs a study."""

from pathlib import Path

import click

from simprune.model.errors import InputError


@click.command(name="job-script", short_help="Print a batch file that runs a study.")
@click.argument("system", type=click.Choice(["slurm"]))
@click.argument("design", type=click.Path(path_type=Path))
@click.option("-o", "--out", "results", type=click.Path(path_type=Path), help="Results folder (results/NAME).")
@click.option("--workers", type=int, help="Number of workers of one job, instead of jobs under [cluster].")
@click.option("--array", type=int, metavar="N", help="A job array of N shares without a scheduler, to be merged.")
@click.option("--backend", default="auto", show_default=True, help="auto, cpu, reference or cuda.")
def job_script(
    system: str, design: Path, *, results: Path | None, workers: int | None, array: int | None, backend: str
) -> None:
    """Print a batch file for SYSTEM that computes what is missing of the study in the file DESIGN.

    By default one job with a Dask scheduler and its workers; with --array N tasks that know nothing of each other.
    Queue, time and memory are those of [cluster] in DESIGN. Submitted again, it goes on.
    """
    from simprune.design.file import load_design
    from simprune.schedulers.job_script import array_script, study_script

    study = load_design(design)
    folder = (results or Path("results") / study.name).absolute()
    if array is not None and workers is not None:
        raise InputError(f"an array must have no workers, got workers={workers}; each of its tasks computes by itself")
    if array is not None:
        click.echo(array_script(study, design.absolute(), folder, n=array, backend=backend), nl=False)
    else:
        click.echo(study_script(study, design.absolute(), folder, workers=workers, backend=backend), nl=False)
