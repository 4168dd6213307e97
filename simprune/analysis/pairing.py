"""Which points can be compared trial by trial, and their rows side by side.

Trials pair where both points sample the same target networks: a trial's random numbers depend on seed, network and trial
alone, so rules, amounts and estimators all see the same targets (README, "Random numbers and reproducibility").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from simprune.analysis.summary import Results
from simprune.analysis.wording import facts
from simprune.design.point import Point
from simprune.model.errors import InputError
from simprune.records import TrialTable
from simprune.rng import canonical_json


class Digested(Results, Protocol):
    """Results whose points can be named by their digests, and that tell what made them."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What made the rows."""

    def digest(self, point: Point) -> str:
        """Return the digest under which the rows of a point are stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRows:
    """Rows of the same trials of both points."""

    a: TrialTable
    b: TrialTable


def choose_pairs(
    a: Digested, b: Digested, *, point_a: str | None = None, point_b: str | None = None
) -> tuple[tuple[Point, Point], ...]:
    """Return the pairs of points to compare; ``point_a`` and ``point_b`` begin the digests of the points meant.

    Without them, all pairs with the same targets and the same amount pruned; failing that, with the same targets, if
    every point has one partner.

    Raises:
        InputError: no points, or not clearly which, can be paired.

    """
    for key in ("rng_scheme", "trial_version"):
        if a.provenance.get(key) != b.provenance.get(key):
            raise InputError(
                f"results must be made with the same {key} to be paired, got {a.provenance.get(key)} and "
                f"{b.provenance.get(key)}: their targets differ; run one of them again"
            )
    ours, theirs = _named(a, point_a, "a"), _named(b, point_b, "b")
    pairs = [(p, q) for p in ours for q in theirs if p.digest() != q.digest()]
    if a is b and point_a is None and point_b is None:
        order = {point.digest(): i for i, point in enumerate(a.points)}
        pairs = [(p, q) for p, q in pairs if order[p.digest()] < order[q.digest()]]
    matched = [(p, q) for p, q in pairs if _targets(p) == _targets(q)]
    if not matched:
        raise _unpaired(pairs)
    if point_a is not None and point_b is not None:
        return tuple(matched)
    alike = tuple((p, q) for p, q in matched if _amount(p) == _amount(q))
    if alike:
        return alike
    for side in (0, 1):
        digests = [pair[side].digest() for pair in matched]
        if len(set(digests)) < len(digests):
            raise InputError(
                f"points must be paired clearly, got {len(matched)} pairs on the same targets, none with the same amount "
                "pruned; name two with --point-a and --point-b (digests: simprune info)"
            )
    return tuple(matched)


def _named(results: Digested, prefix: str | None, side: str) -> Sequence[Point]:
    if prefix is None:
        return results.points
    found = [point for point in results.points if results.digest(point).startswith(prefix)]
    if prefix and len(found) == 1:
        return found
    told = "no point has" if not found else f"{len(found)} points have"
    raise InputError(f"--point-{side} must begin one point's digest, {told} '{prefix}'; see simprune info")


def _targets(point: Point) -> bytes:
    return canonical_json({"network": point.network.to_dict(), "seed": point.seed, "precision": point.precision})


def _amount(point: Point) -> tuple[object, object]:
    return point.rule.alpha, point.rule.pruned_fraction


def _unpaired(pairs: Sequence[tuple[Point, Point]]) -> InputError:
    if not pairs:
        return InputError("two different points must be compared, got the same one twice; name another with --point-b")
    first, second = (facts(point) for point in pairs[0])
    differing = [key for key in ("widths", "weights", "activation", "seed", "precision") if first[key] != second[key]]
    told = ", ".join(f"{first[key]} and {second[key]}" for key in differing)
    got = told if len(pairs) == 1 else f"none that do; the first two have {told}"
    return InputError(
        "points must share their targets to be paired by trial (widths, weights, activation, seed, precision), "
        f"got {got}; run both with the same networks and seed"
    )


def side_by_side(a: Iterator[TrialTable], b: Iterator[TrialTable]) -> Iterator[PairRows]:
    """Yield the trials that both have, in order, a bounded number at a time; both come in the order of trials."""
    left, right = next(a, None), next(b, None)
    while left is not None and right is not None:
        if not len(left["trial"]):
            left = next(a, None)
            continue
        if not len(right["trial"]):
            right = next(b, None)
            continue
        last = min(left["trial"][-1], right["trial"][-1])
        n, m = (int(np.searchsorted(side["trial"], last, side="right")) for side in (left, right))
        _, at, bt = np.intersect1d(left["trial"][:n], right["trial"][:m], assume_unique=True, return_indices=True)
        if len(at):
            yield PairRows(a=_rows(left, at), b=_rows(right, bt))
        left, right = _rows(left, slice(n, None)), _rows(right, slice(m, None))


def _rows(table: TrialTable, rows: "np.ndarray[tuple[int], np.dtype[np.int64]] | slice") -> TrialTable:
    return TrialTable(point=table.point, columns={name: column[rows] for name, column in table.items()})
