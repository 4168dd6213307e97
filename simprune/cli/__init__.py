"""The command line: parse, build, call, print. Heavy libraries are imported by the commands that use them."""

import click

import simprune
from simprune.cli.analyze import analyze
from simprune.cli.assumptions import assumptions
from simprune.cli.bound import bound
from simprune.cli.budget import budget
from simprune.cli.compare import compare
from simprune.cli.doctor import doctor
from simprune.cli.endings import Commands
from simprune.cli.gap import gap
from simprune.cli.init import init
from simprune.cli.job_script import job_script
from simprune.cli.merge import merge
from simprune.cli.prune import prune
from simprune.cli.run import run
from simprune.cli.schema import schema
from simprune.cli.stored import info, pack, verify

EPILOG = (
    "Exit codes: 0 done, 2 bad input, 74 results cannot be read or written, 75 stopped and ready to go on with the same "
    "command, 76 done but for the reported trials."
)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(simprune.__version__, prog_name="simprune")
def main() -> None:
    """Study what pruning does to the output of random and trained neural networks."""


STUDY = (doctor, init, run, info, verify, pack, merge, job_script, schema, analyze, compare)
THEORY = (bound, assumptions, prune, gap, budget)
for _command in (*STUDY, *THEORY):
    main.add_command(_command)
