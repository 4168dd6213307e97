"""The report's first lines: what the tables say, in a few sentences."""

from collections import Counter

from simprune.analysis.layout import paragraph
from simprune.analysis.scaling import ExponentFit
from simprune.analysis.summary import FamilySummary, Summary

NEAR = 0.1


def short_section(summary: Summary) -> str:
    """Return the findings in a sentence each, counted and without new numbers."""
    sentences = [*_claims(summary), *_exponents(summary), *_thresholds(summary)]
    return "\n".join(["In short", "--------", *(paragraph(sentence, bullet="* ") for sentence in sentences)])


def _claims(summary: Summary) -> list[str]:
    claims = Counter(p.claim for point in summary.points for p in point.probabilities)
    if not claims:
        return []
    return [
        f"P(gap <= epsilon) >= {1 - summary.delta:g}, asked {claims.total()} times (table 4): "
        f"it holds {claims['holds']} times, "
        f"fails {claims['fails']} times and stays open {claims['open']} times."
    ]


def _exponents(summary: Summary) -> list[str]:
    middle = min(summary.levels, key=lambda level: abs(level - 0.5))
    fitted = [(family, fit) for family in summary.exponents if (fit := _fit(family, middle)) is not None]
    theorem = [fit.interval.low > family.theorem1 for family, fit in fitted if family.theorem1 is not None]
    sharp = [abs(fit.exponent - family.sharp) <= NEAR for family, fit in fitted if family.sharp is not None]
    sentences = []
    if theorem:
        sentences.append(
            f"Theorem 1: the attained gap falls faster than d^(-alpha), interval included, in {sum(theorem)} of "
            f"{len(theorem)} families (table 6)."
        )
    if sharp:
        sentences.append(f"Fitted exponents lie within {NEAR:g} of the sharp ones in {sum(sharp)} of {len(sharp)} families.")
    return sentences


def _fit(family: FamilySummary, level: float) -> ExponentFit | None:
    found = next(f.fit for f in family.fits if f.side == "lower" and f.level == level)
    return found if isinstance(found, ExponentFit) else None


def _thresholds(summary: Summary) -> list[str]:
    if not summary.thresholds:
        return []
    n_tests, rejected = len(summary.thresholds), sum(test.rejected for test in summary.thresholds)
    return [f"Order statistics of the weights: {rejected} of {n_tests} tests of the exact law rejected (table 7)."]
