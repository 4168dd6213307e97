"""What a run knows of its gaps so far: an interval that may be looked at any number of times."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simprune.records import Column

ERROR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The interval of a named quantity after ``n_trials`` trials: a confidence sequence, valid at all looks together."""

    quantity: str
    low: float
    high: float
    n_trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Among ``n_trials`` trials ``surely`` have an attained gap above epsilon, ``perhaps`` a certified one."""

    epsilon: float
    n_trials: int = 0
    surely: int = 0
    perhaps: int = 0

    def with_rows(self, columns: Mapping[str, Column]) -> "Tally":
        """Return the tally with more rows."""
        lower, upper = columns["gap_lower"], columns["gap_upper"]
        return Tally(
            epsilon=self.epsilon,
            n_trials=self.n_trials + len(lower),
            surely=self.surely + int(np.count_nonzero(lower > self.epsilon)),
            perhaps=self.perhaps + int(np.count_nonzero(upper > self.epsilon)),
        )

    def interval(self) -> Interval:
        """Return the interval of P(gap <= epsilon): half the error goes to attained gaps, half to certified ones.

        >>> found = Tally(epsilon=0.1, n_trials=1000, surely=20, perhaps=50).interval()
        >>> found.quantity, round(found.low, 3), round(found.high, 3)
        ('P(gap <= 0.1)', 0.919, 0.993)
        """
        from simprune.theory.sequences import probability_sequence

        least, _ = probability_sequence(self.surely, self.n_trials, error=ERROR / 2.0)
        _, most = probability_sequence(self.perhaps, self.n_trials, error=ERROR / 2.0)
        return Interval(quantity=f"P(gap <= {self.epsilon:g})", low=1.0 - most, high=1.0 - least, n_trials=self.n_trials)
