"""How a command ends: exit codes, and one sentence instead of a traceback for everything that a user can mend."""

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from simprune.model.errors import InputError
from simprune.schedulers.errors import SchedulerLost
from simprune.store.errors import StoreError

BAD_INPUT = 2
NO_STORAGE = 74
STOPPED = 75
INCOMPLETE = 76


class Commands(click.Group):
    """A group of commands that ends with one of the codes above, or 0."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit."""
        try:
            code = super().main(args, **(extra | {"prog_name": "simprune", "standalone_mode": False}))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(BAD_INPUT)
        except click.ClickException as error:
            _end(_one_line(error.format_message()), BAD_INPUT)
        except (click.Abort, KeyboardInterrupt):
            _end("stopped; the same command goes on", STOPPED)
        except SchedulerLost as error:
            _end(str(error), STOPPED)
        except StoreError as error:
            _end(str(error), NO_STORAGE)
        except InputError as error:
            _end(str(error), BAD_INPUT)
        except MemoryError:
            _end("the work must fit into memory, got more than there is; take smaller widths or fewer workers", BAD_INPUT)
        except OSError as error:
            where = f" for {error.filename}" if error.filename else ""
            _end(
                f"the system must play along{where}, it said '{error.strerror or error}'; mend that and run again",
                NO_STORAGE,
            )
        sys.exit(code if isinstance(code, int) else 0)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(sentence if code == STOPPED else f"error: {sentence}", err=True)
    sys.exit(code)
