"""What an analysis returns for one number: an interval, or a refusal that says what is missing."""

from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Confidence interval ``[low, high]`` that covers the true value with probability at least ``confidence``."""

    low: float
    high: float
    confidence: float = CONFIDENCE

    def contains(self, value: float) -> bool:
        """Return whether ``value`` lies in the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No honest number exists; ``needed`` is the number of trials that would allow one, where trials would help."""

    reason: str
    needed: int | None = None
