"""What can go wrong with stored rows."""

from simprune.model.errors import InputError


class StoreError(InputError):
    """The system refuses to store or to read; what was committed before stays."""


class DamagedResults(InputError):
    """What lies there is not what simprune stores: something else, damaged, made to harm, or of a newer version."""


class CorruptSegment(Exception):
    """A file is not the segment that was committed; the message says in what way."""
