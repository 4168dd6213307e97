"""What can go wrong with schedulers that is nobody's fault in the design."""

from simprune.model.errors import InputError


class SchedulerLost(InputError):
    """The scheduler went away in the middle; what was stored is safe and the same run goes on from there."""
