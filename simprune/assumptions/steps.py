"""The steps of the proof in their order, and which of them a layer does not support.

The proof bounds ||Delta|| of magnitude pruning in this order (theory/order_statistics.py, theory/layers.py): entries of a
known continuous law -> the threshold has an exact law -> the pruned positions are a uniformly random subset -> signs are
fair -> entries are independent, so that moments of the trace bound the norm.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from simprune.assumptions.fit import LAWS, STATISTICS
from simprune.assumptions.replicates import Test

MOST_TIES = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that fails: what the proof ``needs``, and what speaks ``against`` it."""

    needs: str
    against: str


def failed_steps(tests: Mapping[str, Test], *, tied_share: float, rounding_share: float) -> tuple[Step, ...]:
    """Return the steps that rejected tests contradict, in the order of the proof.

    The first step fails only if both laws are rejected: there are proofs for both. ``tied_share`` of the magnitudes tie,
    ``rounding_share`` would of a continuous law; the difference counts.
    """
    ties = f"{100 * tied_share:.3g} % of them tie with another" if tied_share - rounding_share > MOST_TIES else ""
    steps = (
        ("the weights follow a uniform or a Gaussian law", _laws(tests)),
        ("no two magnitudes are equal", ties),
        ("the small weights lie at random positions", _told(tests, _POSITIONS)),
        ("signs are fair", _told(tests, _SIGNS)),
        ("weights are independent", _told(tests, _DEPENDENCE)),
        ("the norm is that of a random matrix", _told(tests, _NORM)),
    )
    return tuple(Step(needs=needs, against=against) for needs, against in steps if against)


_POSITIONS = {
    "placement": "||Delta|| is {ratio} times that of the same weights at random positions",
    "row sizes": "rows differ in size",
    "column sizes": "columns differ in size",
}
_SIGNS = {"signs": "|mean| is {ratio} times what random signs give"}
_DEPENDENCE = {
    "rows": "cosines between rows are {ratio} times those at random positions",
    "columns": "cosines between columns are {ratio} times those at random positions",
}
_NORM = {"spectrum": "the largest singular value is {ratio} times that of the same weights at random positions"}


def _told(tests: Mapping[str, Test], reasons: Mapping[str, str]) -> str:
    found = [(reason, tests[kind]) for kind, reason in reasons.items() if kind in tests and tests[kind].rejected]
    return ", ".join(reason.format(ratio=f"{test.ratio:.3g}") for reason, test in found)


def _laws(tests: Mapping[str, Test]) -> str:
    rejected = [any(tests[f"{law} {statistic}"].rejected for statistic in STATISTICS) for law in LAWS]
    return "both are rejected" if all(rejected) else ""
