"""A share of a study: for computing it in several places that know nothing of each other."""

import re
from dataclasses import dataclass

from simprune.model.errors import InputError

MAX_COUNT = 100_000
_WRITTEN = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share ``index`` (from 1) of ``count``: a fixed range of every point's trials, all of nearly the same length."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT or not 1 <= self.index <= self.count:
            raise InputError(f"a share must be i/n with 1 <= i <= n <= {MAX_COUNT}, got {self}; shares are counted from 1")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read what ``str`` writes.

        >>> Share.parse("2/8")
        Share(index=2, count=8)
        """
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise InputError(f"a share must be written i/n, got '{text}'; e.g. 1/8 for the first of eight")
        return cls(index=int(match[1]), count=int(match[2]))

    def of(self, trials: int) -> tuple[int, int]:
        """Return the half-open range of the share among ``trials`` trials.

        >>> [Share(index=i, count=3).of(8) for i in (1, 2, 3)]
        [(0, 2), (2, 5), (5, 8)]
        """
        return trials * (self.index - 1) // self.count, trials * self.index // self.count
