"""When a point has enough trials: what is watched, how exactly it must be known, and when one looks."""

from dataclasses import dataclass

from simprune.model.errors import InputError, nearest

QUANTITIES = ("probability", "quantile", "mean")
SIDES = ("attained", "certified")
MAX_CHECKS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingRule:
    """Looks at every point after ``first`` trials and whenever they have grown by the factor ``growth``.

    ``quantity`` "probability": of a gap above ``epsilon``; enough as soon as it is surely above or surely below the
    design's delta, or known to ``width``. "quantile" (of ``level``) and "mean" of the gap's ``side``: enough as soon as
    the interval is at most ``width`` times the estimate. All looks at a point together err with probability
    1 - ``confidence``. ``total`` limits the trials of all points together. What is computed for a point depends on its
    own trials alone, or with ``total`` on those of all points; never on workers or interruptions.
    """

    quantity: str
    epsilon: float | None = None
    level: float | None = None
    side: str = "attained"
    width: float | None = None
    confidence: float = 0.95
    first: int = 100
    growth: float = 1.25
    total: int | None = None

    def __post_init__(self) -> None:
        for value, known, name in ((self.quantity, QUANTITIES, "quantity"), (self.side, SIDES, "side")):
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, got '{value}'; {nearest(value, known)}")
        if (self.quantity == "probability") != (self.epsilon is not None):
            raise InputError("epsilon must be given for the probability of a gap above it, and only then; mend that")
        if self.epsilon is not None and self.epsilon <= 0.0:
            raise InputError(f"epsilon must be positive, got {self.epsilon}; it is a gap")
        if (self.quantity == "quantile") != (self.level is not None):
            raise InputError("level must be given for a quantile, and only then; mend that")
        if self.level is not None and not 0.0 < self.level < 1.0:
            raise InputError(f"level must lie in (0, 1), got {self.level}; it is the level of a quantile")
        if self.width is None and self.quantity != "probability":
            raise InputError(f"width must be given for a {self.quantity}: how wide its interval may be, relative to it")
        if self.width is not None and not self.width > 0.0:
            raise InputError(f"width must be positive, got {self.width}; it is the wanted width of an interval")
        if not 0.0 < self.confidence < 1.0:
            raise InputError(f"confidence must lie in (0, 1), got {self.confidence}; 0.95 is usual")
        if self.first < 2:
            raise InputError(f"first must be at least 2, got {self.first}; it is the number of trials at the first look")
        if not 1.001 <= self.growth <= 1000.0:
            raise InputError(f"growth must lie in 1.001..1000, got {self.growth}; 1.25 looks again after a quarter more")
        if self.total is not None and self.total < 1:
            raise InputError(f"total must be at least 1, got {self.total}; it is the number of trials of all points")

    def checks(self, trials: int) -> tuple[int, ...]:
        """Return the numbers of trials at which a point is looked at, the last one being ``trials``.

        >>> StoppingRule(quantity="mean", width=0.1, first=10, growth=2.0).checks(70)
        (10, 20, 40, 70)
        """
        found = [min(self.first, trials)]
        while found[-1] < trials:
            found.append(min(trials, max(found[-1] + 1, round(found[-1] * self.growth))))
        return tuple(found)
