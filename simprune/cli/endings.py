"""How a command ends: exit codes, and one sentence instead of a traceback for everything that a user can mend."""

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from simprune.model.errors import InputError

MEND = 2
STOPPED = 75


class Commands(click.Group):
    """A group of commands that ends with 0, 2 (mend something) or 75 (stopped, go on with the same command)."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command and exit."""
        try:
            code = super().main(args, **(extra | {"prog_name": "simprune", "standalone_mode": False}))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(MEND)
        except click.ClickException as error:
            _end(_one_line(error.format_message()), MEND)
        except (click.Abort, KeyboardInterrupt):
            _end("stopped; the same command goes on", STOPPED)
        except InputError as error:
            _end(str(error), MEND)
        except MemoryError:
            _end("the work must fit into memory, got more than there is; take smaller widths or fewer workers", MEND)
        except OSError as error:
            where = f" for {error.filename}" if error.filename else ""
            _end(f"the system must play along{where}, it said '{error.strerror or error}'; mend that and run again", MEND)
        sys.exit(code if isinstance(code, int) else 0)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(f"error: {sentence}" if code == MEND else sentence, err=True)
    sys.exit(code)
