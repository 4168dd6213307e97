"""What can go wrong with stored rows."""

from simprune.model.errors import InputError


class StoreError(InputError):
    """Rows cannot be stored or read; what was committed before stays."""


class CorruptSegment(Exception):
    """A file is not the segment that was committed; the message says in what way."""
