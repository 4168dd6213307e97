"""The one exception type for input that a user can mend."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input, told in one sentence: what must hold, what came, what to do."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known name closest to ``name``, or all known names.

    >>> nearest("relo", ["relu", "tanh"])
    "did you mean 'relu'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
