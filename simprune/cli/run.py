"""``simprune run``: compute what is missing of a study."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simprune.cli.endings import INCOMPLETE, STOPPED
from simprune.cli.progress import FORMS

if TYPE_CHECKING:
    from simprune.design.design import Design
    from simprune.engine import RunReport

MAX_TOLD = 20


@click.command(short_help="Compute what is missing of a study.")
@click.argument("design", type=click.Path(path_type=Path))
@click.option("-o", "--out", "results", type=click.Path(path_type=Path), help="Results folder (results/NAME).")
@click.option("--backend", default="auto", show_default=True, help="auto, cpu, reference or cuda.")
@click.option(
    "--scheduler", default="local", show_default=True, help="serial, local, slurm, tls://HOST:PORT, tcp://HOST:PORT."
)
@click.option("--workers", type=int, help="Processes (local), threads (serial) or jobs (slurm); all processors if left out.")
@click.option(
    "--deadline", type=float, help="Seconds that a block may take before its worker is killed; no limit if left out."
)
@click.option("--insecure-network", is_flag=True, help="Allow connections to other machines without TLS.")
@click.option("--share", metavar="I/N", help="Compute only the I-th of N fixed shares of every point's trials.")
@click.option("--progress", "form", type=click.Choice(FORMS), default="auto", help="auto, or JSON lines on stderr.")
@click.option("--dry-run", is_flag=True, help="Tell what would be computed, and compute nothing.")
def run(
    design: Path, *, results: Path | None, backend: str, share: str | None, form: str, dry_run: bool, **where: Any
) -> None:
    """Compute what is missing of the study in the file DESIGN.

    The same command again completes what is missing and does nothing when all is there. Backend, scheduler, workers
    and shares change no number. Ctrl-C and SIGTERM stop cleanly.
    """
    from simprune import api
    from simprune.cli.forecast import forecast
    from simprune.cli.progress import notice, reporter
    from simprune.design.file import load_design
    from simprune.engine import StopRequest
    from simprune.schedulers.place import Place

    study = load_design(design)
    if share is not None:
        study = study.shared(share)
    folder = results or Path("results") / study.name
    if where["scheduler"] == "srun":
        from simprune.schedulers import srun

        if not srun.is_run():
            srun.serve(study.cluster, folder=folder)
    begun = api.begun(folder)
    name = api.settle_backend(backend, provenance=begun, design=study)
    why = "it began these results" if begun else api.without_cuda(study) or "a GPU is here"
    place = Place(**where, cluster=study.cluster)
    if dry_run:
        click.echo(forecast(study, folder, backend=name, place=place))
        return
    stop = StopRequest()
    with (
        stop.on_signals(),
        reporter(stop, news=lambda: [*_shared(study), *_news(name, asked=backend, why=why)], form=form) as show,
    ):
        report = api.run(
            study,
            folder,
            backend=name,
            **where,
            progress=show,
            stop=stop,
            notice=lambda text: notice(f"damaged: {text}", form=form),
        )
    given = {"-o": results, "--backend": backend, "--share": share}
    given |= {f"--{name}": where[name] for name in ("scheduler", "workers", "deadline")}
    options = [text for pair in given.items() for text in _option(*pair)]
    again = shlex.join(["simprune", "run", str(design), *options, *["--insecure-network"] * where["insecure_network"]])
    _tell(report, folder, again, most=study.trials)


def _news(backend: str, *, asked: str, why: str) -> list[str]:
    news = [f"backend: {backend} (chosen by auto: {why})"] if asked == "auto" else [f"backend: {backend}"]
    if backend == "cpu":
        from simprune.backends.compile import is_warm

        news += [] if is_warm() else ["compiling kernels, cached next time"]
    return news


def _shared(study: "Design") -> list[str]:
    if study.share is None:
        return []
    first, stop = study.wanted
    told = f"trials {first}..{stop - 1}" if first < stop else "no trials, there are fewer than shares"
    return [f"share {study.share}: {told} of every point; put the shares together with simprune merge"]


def _option(name: str, value: object) -> list[str]:
    default = {"--backend": "auto", "--scheduler": "local"}.get(name)
    return [] if value in (None, default) else [name, str(value)]


def _tell(report: "RunReport", folder: Path, again: str, *, most: int) -> None:
    stored = report.n_before + report.n_computed
    for failure in report.failed[:MAX_TOLD]:
        click.echo(f"failed: point {failure.point.digest()[:16]}, trial {failure.trial}: {failure.reason}", err=True)
    if report.stopped:
        click.echo(f"stopped: {stored} of {report.n_target} rows are safe in {folder}; go on with: {again}", err=True)
        raise SystemExit(STOPPED)
    if report.failed or report.n_given_up:
        click.echo(
            f"error: every trial must be computed, {len(report.failed)} failed and {report.n_given_up} were given up; "
            f"the other {stored} rows are safe in {folder}; mend the reason and run again: {again}",
            err=True,
        )
        raise SystemExit(INCOMPLETE)
    if report.stops:
        early = sum(stop.trials < most for stop in report.stops)
        click.echo(f"{early} of {len(report.stops)} points had enough before {most} trials; why: simprune info {folder}")
    if not report.n_computed:
        click.echo(f"nothing to do: all {report.n_target} rows are in {folder}; read them with: simprune analyze {folder}")
        return
    speed = f"{report.n_computed / report.seconds:.0f} rows/s" if report.seconds > 0 else "at once"
    click.echo(
        f"done: {report.n_computed} rows computed in {report.seconds:.1f} s ({speed}), {report.n_target} in {folder}; "
        f"read them with: simprune analyze {folder}"
    )
