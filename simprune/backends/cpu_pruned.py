"""How the CPU backend lays out trials, plans selections and holds pruned entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import batch
from simprune.backends.elementwise import CODES
from simprune.backends.sampling import LAW_CODES, SPARE
from simprune.backends.selection import bracket
from simprune.model.network import NetworkSpec
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import Purpose, stream

TOP_KEY = {"float32": (1 << 31) - 1, "float64": (1 << 53) - 1}
# Rules that prune more than 1 in so many weights of a layer select for themselves: to rank all candidates costs more.
LISTED_SHARE = 8
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the layers lie in the flat arrays of a trial, as the kernels want it."""

    widths: Array
    at: Array
    rows: Array
    weight_streams: Array
    mask_streams: Array
    activation: tuple[int, float, int | None]
    law: tuple[int, Array] | None

    @property
    def shape(self) -> tuple[Array, Array, Array]:
        """Widths, offsets of the weights, first rows."""
        return self.widths, self.at, self.rows

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, network: NetworkSpec) -> "Layout":
        """Compute the layout of a network."""
        layers = range(network.depth)
        pairs = ((Purpose.WEIGHT, Purpose.WEIGHT_LOW), (Purpose.MASK, Purpose.MASK_LOW))
        weight, mask = (np.array([[stream(p, layer) for layer in layers] for p in pair]) for pair in pairs)
        activation, law = network.activation, network.distribution
        smooth = 1 if 0.0 < activation.curvature < np.inf else None
        return cls(
            widths=np.array(network.widths, dtype=np.int64),
            at=offsets(network.n_weights),
            rows=offsets(network.widths[1:]),
            weight_streams=weight,
            mask_streams=mask,
            activation=(CODES[type(activation)], activation.parameter, smooth),
            law=None if law is None else (LAW_CODES[type(law)], np.array(network.scales)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointPlan:
    """How several exact rules prune from one list of candidates: the rules' places, most pruned first, and their arrays.

    ``ranks`` ``[n_rules, depth]``, ``highs`` ``[depth]`` bounds of the candidates' keys, ``listed_room`` and ``rooms``
    (``[n_rules, depth + 1]``) where the candidates and the pruned entries of every layer begin, SPARE places after a rule's.
    """

    places: tuple[int, ...]
    ranks: Array
    highs: Array
    listed_room: Array
    rooms: Array

    @classmethod
    def of(cls, plans: Sequence[tuple[Array, Array]], network: NetworkSpec) -> "JointPlan | None":
        """Join the plans (ranks and brackets) of the rules that prune few weights; None if there are less than two."""
        most = np.array(network.n_weights) // LISTED_SHARE
        places = [i for i, (ranks, _) in enumerate(plans) if (ranks <= most).all()]
        if len(places) < 2:
            return None
        places.sort(key=lambda i: -int(plans[i][0].sum()))
        ranks = np.array([plans[i][0] for i in places])
        spots, depth = offsets(ranks.ravel().tolist()), network.depth
        return cls(
            places=tuple(places),
            ranks=ranks,
            highs=np.max([plans[i][1][1] for i in places], axis=0),
            listed_room=offsets([k + 12 * int(k**0.5) + 128 for k in ranks.max(axis=0).tolist()]),
            rooms=np.stack([spots[depth * i : depth * (i + 1) + 1] + SPARE * i for i in range(len(places))]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointEntries:
    """Pruned entries of several rules: rooms ``[n_rules, depth + 1]``, row starts ``[n_rules, n_trials, ...]``, columns,
    values and rows that all share; ``places`` are the rules that have them.
    """

    entries: tuple[Array, Array, Array, Array, Array]
    places: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CpuPruned:
    """Pruned entries of every trial in compressed rows: the entries of -Delta, layer by layer.

    ``room`` says where the layers' entries begin in ``columns`` and ``values``, which several rules may share: then they
    are those of rule ``place`` in ``joint``.
    """

    layout: Layout
    room: Array
    starts: Array
    columns: Array
    values: Array
    n_pruned: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    joint: JointEntries | None = None
    place: int = 0

    @property
    def entries(self) -> tuple[Array, Array, Array, Array]:
        """Room, row starts, columns and values."""
        return self.room, self.starts, self.columns, self.values

    @cached_property
    def turned(self) -> tuple[Array, Array, Array, Array]:
        """The same entries, transposed."""
        widths = self.layout.widths
        starts = np.zeros((len(self.starts), int(widths[:-1].sum()) + len(widths) - 1), dtype=np.int64)
        room = self.room - self.room[0]
        shape = (len(self.starts), max(int(room[-1]), 1))
        turned = (room, starts, np.empty(shape, self.columns.dtype), np.empty(shape, self.values.dtype))
        batch.turn_rows(widths, self.entries, turned)
        return turned


def offsets(sizes: Sequence[int]) -> Array:
    """Return where blocks of these sizes begin, and their total."""
    return np.array([0, *accumulate(sizes)], dtype=np.int64)


@lru_cache(maxsize=1024)
def plan_of(rule: AbstractPruningRule, network: NetworkSpec, precision: str) -> tuple[Array, Array]:
    """Return the ranks ``[depth]`` and theoretical brackets ``[2, depth]`` of i.i.d. keys."""
    ranks = [rule.n_pruned(n, layer) for layer, n in enumerate(network.n_weights)]
    law = network.distribution
    if not rule.is_random and law is not None and not law.is_continuous:
        brackets = [(0, 0)] * len(ranks)
    else:
        brackets = [bracket(n, k, TOP_KEY[precision]) for n, k in zip(network.n_weights, ranks, strict=True)]
    dtype = np.int32 if precision == "float32" else np.int64
    return np.array(ranks), np.ascontiguousarray(np.array(brackets, dtype=dtype).T)


@lru_cache(maxsize=256)
def joint_plan(rules: tuple[AbstractPruningRule, ...], network: NetworkSpec, precision: str) -> JointPlan | None:
    """Join the plans of exact rules with the same score on a sampled network."""
    return JointPlan.of([plan_of(rule, network, precision) for rule in rules], network)
