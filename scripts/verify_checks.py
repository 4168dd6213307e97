"""Checks with p-values, and the verdict of a section: Holm's method over all its checks."""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from simprune.analysis.thresholds import holm

ERROR = 1e-3
"""Chance that a section of a correct program fails."""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison; a ``sure`` one holds for every correct program and has p-value 1 or 0."""

    what: str
    p_value: float
    sure: bool = False


def sure(what: str, holds: bool) -> Check:
    return Check(what, 1.0 if holds else 0.0, sure=True)


def at_most(what: str, failures: int, n: int, rate: float) -> Check:
    """Exact binomial test that events of chance ``rate`` at most happened ``failures`` times in n independent trials."""
    return Check(f"{what}: {failures} of {n}, at most {rate:g} promised", float(stats.binom.sf(failures - 1, n, rate)))


def near(what: str, difference: float, error: float, *, allowance: tuple[float, float] = (0.0, 0.0), df: float) -> Check:
    """t-test that the mean of ``difference`` (standard error ``error``) lies between the two ends of ``allowance``."""
    low, high = allowance
    outside = max(low - difference, difference - high, 0.0)
    if error == 0.0:
        return Check(what, 1.0 if outside == 0.0 else 0.0)
    told = f"{what}: {difference:+.4g} +- {error:.2g}, allowed {low:+.3g} .. {high:+.3g}"
    return Check(told, min(1.0, 2.0 * float(stats.t.sf(outside / error, df))))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a section found; ``failed`` lists the checks that a correct program would not fail."""

    section: str
    n_sure: int
    n_tests: int
    smallest: float
    failed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.failed

    def text(self) -> str:
        lines = [f"  FAILED {what}" for what in self.failed]
        smallest = f", smallest Holm p {self.smallest:.2g}" if self.n_tests else ""
        counted = f"{self.n_sure + self.n_tests} checks, {self.n_sure} of them sure, {self.n_tests} tests"
        lines.append(
            f"{self.section}: {counted}{smallest}; "
            f"a correct program fails with probability at most {ERROR if self.n_tests else 0:g}: "
            f"{'PASS' if self.passed else 'FAIL'}"
        )
        return "\n".join(lines)


def verdict(section: str, checks: Sequence[Check]) -> Verdict:
    tests = [check for check in checks if not check.sure]
    adjusted = holm([test.p_value for test in tests])
    broken = [check.what for check in checks if check.sure and check.p_value == 0.0]
    implausible = [f"{test.what} (Holm p {p:.2g})" for test, p in zip(tests, adjusted, strict=True) if p <= ERROR]
    return Verdict(section, len(checks) - len(tests), len(tests), min(adjusted, default=1.0), (*broken, *implausible))
