"""What is wrong with a design file: one sentence a mistake, each with its path in the file."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from simprune.design.schema import TABLES
from simprune.model.errors import InputError, nearest

Location = tuple[int | str, ...]
_SENTENCES = {
    "missing": "must be given, got nothing; add it",
    "int_type": "must be an integer, got {got}; write e.g. 64",
    "float_type": "must be a number, got {got}; write e.g. 0.5",
    "string_type": "must be a string, got {got}; put it in quotes",
    "bool_type": "must be true or false, got {got}; write one of them",
    "list_type": "must be a list, got {got}; put it in brackets, or write [[ ]] around the heading of a table",
    "model_type": "must be a table, got {got}; write it under a [heading] of its own",
    "too_short": "must hold at least one entry, got an empty list; add one",
}


def mistakes(error: ValidationError, data: Any) -> list[str]:
    """Return a sentence for every mistake that pydantic found in ``data``."""
    sentences = []
    for entry in error.errors(include_url=False):
        where: Location = tuple(entry["loc"])
        while where and isinstance(where[-1], int) and not isinstance(_at(data, where[:-1]), list):
            where = where[:-1]
        cause = entry.get("ctx", {}).get("error")
        if entry["type"] == "extra_forbidden":
            table = TABLES[tuple(step for step in where[:-1] if isinstance(step, str))]
            sentence = f"must be a known key, got '{where[-1]}'; {nearest(str(where[-1]), table.model_fields)}"
        elif isinstance(cause, InputError):
            sentence = str(cause)
        else:
            sentence = _SENTENCES.get(entry["type"], f"{entry['msg']}, got {{got}}").format(got=_short(entry["input"]))
        sentences.append(f"{dotted(where)}: {sentence}")
    return list(dict.fromkeys(sentences))


def not_finite(value: Any, where: Location = ()) -> Iterator[str]:
    """Yield a sentence for every NaN and infinity in the parsed file."""
    if isinstance(value, float) and not abs(value) < float("inf"):
        yield f"{dotted(where)}: must be a finite number, got {value}; mend it"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from not_finite(item, (*where, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from not_finite(item, (*where, index))


def dotted(where: Location) -> str:
    """Return a path in the file.

    >>> dotted(("networks", 1, "width"))
    'networks[1].width'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where)
    return text.removeprefix(".") or "the file"


def all_wrong(path: Any, sentences: Sequence[str]) -> InputError:
    """Return the one error that tells all mistakes of a file."""
    if len(sentences) == 1:
        return InputError(f"{path}: {sentences[0]}")
    return InputError("\n  ".join([f"{path} must be a valid design, got {len(sentences)} mistakes:", *sentences]))


def _at(data: Any, where: Location) -> Any:
    for step in where:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
