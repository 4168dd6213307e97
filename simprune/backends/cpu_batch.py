"""A micro-batch on the CPU: its targets, and the pruned entries of its rules."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import batch, batch_pruning
from simprune.backends.base import HostColumns, Trials
from simprune.backends.cpu_pruned import TOP_KEY, CpuPruned, JointEntries, JointPlan, Layout, joint_plan, offsets, plan_of
from simprune.backends.filters import row_energies, row_entries, smallest_rows
from simprune.backends.sampling import SPARE, UNIFORM
from simprune.design.point import Point
from simprune.model.pruning import AbstractPruningRule
from simprune.trained.network import TrainedNetwork

Array = npt.NDArray[Any]


class CpuBatch(HostColumns):
    """Weights, keys and pruned entries of a micro-batch."""

    def __init__(self, point: Point, trials: Trials, trained: TrainedNetwork | None) -> None:
        self.network = point.network
        self.n_trials = len(trials)
        self._trials, self._key = trials, point.key
        self._precision, self._dtype = point.precision, np.dtype(point.precision)
        self._key_dtype = np.int32 if self._dtype == np.float32 else np.int64
        self._layout = Layout.of(point.network)
        self._trained = trained
        self._activation, self._shape = self._layout.activation, self._layout.shape
        self._bias = np.zeros(0, self._dtype)
        if trained is not None and any(b.any() for b in trained.biases):
            self._bias = np.concatenate(trained.biases).astype(self._dtype)
        self._target_norms: npt.NDArray[np.float64] | None = None
        self._weights: Array | None = None

    @property
    def weights(self) -> Array:
        """The targets' weights, ``[n_trials, n_weights]``."""
        if self._weights is None:
            self._weights = self._sampled[0]
        return self._weights

    @property
    def _keys(self) -> Array:
        return self._sampled[1]

    @cached_property
    def _sampled(self) -> tuple[Array, Array]:
        return self._sample()

    def _sample(self) -> tuple[Array, Array]:
        weights, keys = self._flat(self._dtype), self._flat(self._key_dtype)
        if self._trained is not None:
            weights[:] = np.concatenate([w.ravel() for w in self._trained.weights]).astype(self._dtype)
            keys[:] = np.abs(weights).view(self._key_dtype)
            return weights, keys
        fill = batch.sample32 if self._dtype == np.float32 else batch.sample64
        fill(*self._address, *self._law, self._layout.at, weights, keys)
        return weights, keys

    def _flat(self, dtype: npt.DTypeLike) -> Array:
        return np.empty((self.n_trials, int(self._layout.at[-1])), dtype)

    @property
    def _address(self) -> tuple[Any, ...]:
        return (*self._key, self._layout.weight_streams, self._trials)

    @property
    def _law(self) -> tuple[int, Array]:
        assert self._layout.law is not None
        return self._layout.law

    @property
    def _drawn(self) -> tuple[int | None, Array]:
        """The law as kernels take it that draw and prune in one pass: None stands for the uniform one."""
        code, scales = self._law
        return (None if code == UNIFORM else code), scales

    @cached_property
    def _turned(self) -> Array:
        out = np.empty_like(self.weights)
        batch.transpose_all(self.weights, self._layout.widths, self._layout.at, out)
        return out

    @cached_property
    def _mask_keys(self) -> Array:
        keys = self._flat(self._key_dtype)
        batch.mask_keys(*self._key, self._layout.mask_streams, self._trials, self._layout.at, keys)
        return keys

    def prune(self, rules: Sequence[AbstractPruningRule]) -> list[CpuPruned]:
        """Prune the batch by every rule; exact rules with the same score share one list of the smallest keys."""
        if len(rules) == 1 and (first := self._sample_and_prune(rules[0])) is not None:
            return [first]
        pruned: dict[int, CpuPruned] = {}
        for is_random in (False, True):
            exact = [i for i, r in enumerate(rules) if r.exact_count and r.is_random is is_random and not r.whole_rows]
            if len(exact) > 1:
                own = tuple(rules[i] for i in exact)
                plan = self._joint_plan(own)
                alone = sum(not (r.is_random or r.whole_rows) for r in rules) > len(plan.places if plan else ())
                together = self._prune_together(plan, is_random=is_random, keep=alone) if plan is not None else {}
                pruned.update({exact[place]: found for place, found in together.items()})
        for i, rule in enumerate(rules):
            if i not in pruned:
                pruned[i] = self._prune_alone(rule)
        return [pruned[i] for i in range(len(rules))]

    @property
    def _may_fuse(self) -> bool:
        """Whether weights can be drawn while they are pruned: they are not yet, and have 31-bit keys of their own."""
        law = self.network.distribution
        return self._weights is None and self._dtype == np.float32 and law is not None and law.is_continuous

    def _sample_and_prune(self, rule: AbstractPruningRule) -> CpuPruned | None:
        """Prune by magnitude while the targets are sampled, if they are not yet; None if that cannot be, or missed."""
        if not self._may_fuse or not rule.exact_count or rule.is_random or rule.whole_rows:
            return None
        ranks, brackets = self._plan(rule)
        counts, at = ranks.tolist(), self._layout.at.tolist()
        if any(k == stop - start for k, start, stop in zip(counts, at, at[1:], strict=False)):
            return None
        weights, pruned = self._flat(self._dtype), self._room_for(counts)
        found = (pruned.entries, pruned.n_pruned, pruned.threshold)
        batch_pruning.sample_and_prune32(self._address, *self._drawn, self._shape, weights, ranks, brackets, *found)
        self._weights = weights
        return pruned if (pruned.n_pruned >= 0).all() else None

    def _prune_alone(self, rule: AbstractPruningRule) -> CpuPruned:
        if rule.whole_rows:
            return self._prune_rows(rule)
        return self._prune_exactly(rule) if rule.exact_count else self._prune_each(rule, tight=True)

    def _prune_rows(self, rule: AbstractPruningRule) -> CpuPruned:
        counts = [rule.n_pruned_of(shape, layer) for layer, shape in enumerate(self.network.shapes)]
        pruned, first = self._room_for(counts), 0
        for layer, shape in enumerate(self.network.shapes):
            at, spot = int(self._layout.at[layer]), slice(int(pruned.room[layer]), int(pruned.room[layer + 1]))
            weights = self.weights[:, at : at + shape[0] * shape[1]]
            scores = self._mask_keys[:, at : at + shape[0]] if rule.is_random else row_energies(weights, shape)
            gone = smallest_rows(scores, rule.n_pruned(shape[0], layer))
            starts, columns, values, pruned.threshold[:, layer] = row_entries(weights, shape, gone)
            pruned.starts[:, first : first + shape[0] + 1] = starts
            pruned.columns[:, spot], pruned.values[:, spot], pruned.n_pruned[:, layer] = columns, values, counts[layer]
            first += shape[0] + 1
        return pruned

    def _joint_plan(self, rules: tuple[AbstractPruningRule, ...]) -> "JointPlan | None":
        if self._trained is None or rules[0].is_random:
            return joint_plan(rules, self.network, self._precision)
        return JointPlan.of([self._plan(rule) for rule in rules], self.network)

    def _prune_together(self, plan: "JointPlan", *, is_random: bool, keep: bool) -> dict[int, CpuPruned]:
        """Prune by the rules of the plan; return what succeeded, by their places. ``keep``: other rules need the keys."""
        n, depth, n_rules = self.n_trials, self.network.depth, len(plan.places)
        size = (n, int(plan.listed_room[-1]))
        index, near = np.empty(size, np.int32), np.empty(size, self._key_dtype)
        listed = (plan.listed_room, index, near, np.empty((n, depth), np.int64))
        if self._may_fuse and not (is_random or keep):
            self._weights = self._flat(self._dtype)
            batch_pruning.sample_and_list32(self._address, *self._drawn, self._shape, self._weights, plan.highs, listed)
        else:
            batch_pruning.list_candidates(self._shape, self._mask_keys if is_random else self._keys, plan.highs, listed)
        total = int(plan.rooms[-1, -1]) + SPARE
        columns, lines, values = *np.empty((2, n, total), np.int32), np.empty((n, total), self._dtype)
        starts = np.empty((n_rules, n, int(self._layout.rows[-1]) + depth), np.int64)
        counts, thresholds = np.empty((n_rules, n, depth), np.int64), np.empty((n_rules, n, depth))
        entries = (plan.rooms, starts, columns, values, lines)
        found = (entries, counts, thresholds)
        batch_pruning.prune_listed(self._shape, self.weights, listed, plan.highs, plan.ranks, not is_random, *found)
        succeeded = [i for i in range(n_rules) if (counts[i] >= 0).all()]
        joint = JointEntries(entries=entries, places=np.array(succeeded, dtype=np.int64))
        return {
            plan.places[i]: CpuPruned(
                layout=self._layout,
                room=plan.rooms[i],
                starts=starts[i],
                columns=columns,
                values=values,
                n_pruned=counts[i],
                threshold=thresholds[i],
                joint=joint,
                place=i,
            )
            for i in succeeded
        }

    def _prune_exactly(self, rule: AbstractPruningRule) -> CpuPruned:
        ranks, brackets = self._plan(rule)
        keys = self._mask_keys if rule.is_random else self._keys
        pruned = self._room_for(ranks.tolist())
        args = (self._shape, self.weights, keys, ranks, brackets, not rule.is_random)
        batch_pruning.prune_smallest(*args, pruned.entries, pruned.n_pruned, pruned.threshold)
        return pruned

    def _plan(self, rule: AbstractPruningRule) -> tuple[Array, Array]:
        if rule.is_random or self._trained is None:
            return plan_of(rule, self.network, self._precision)
        ranks = [rule.n_pruned(n, layer) for layer, n in enumerate(self.network.n_weights)]
        brackets = np.array([self._ranked_keys(layer, k) for layer, k in enumerate(ranks)], dtype=self._key_dtype)
        return np.array(ranks), np.ascontiguousarray(brackets.T)

    def _ranked_keys(self, layer: int, k: int) -> tuple[int, int]:
        keys = self._keys[0, self._layout.at[layer] : self._layout.at[layer + 1]]
        nearby = sorted({max(k - 1, 0), min(k, len(keys) - 1)})
        found = np.partition(keys, nearby)[nearby]
        return (int(found[0]) if k else 0), int(found[-1])

    def _prune_each(self, rule: AbstractPruningRule, *, tight: bool) -> CpuPruned:
        bits = 31 if self._dtype == np.float32 else 53
        weights = self.network.n_weights
        expected = [rule.n_pruned(n, layer) for layer, n in enumerate(weights)]
        bounds = np.array([(k << bits) // n for k, n in zip(expected, weights, strict=True)], dtype=np.int64)
        room = [min(n, k + 12 * int(k**0.5) + 64) if tight else n for k, n in zip(expected, weights, strict=True)]
        pruned = self._room_for(room)
        limits = np.minimum(bounds, TOP_KEY[self._precision]).astype(self._key_dtype)
        batch_pruning.prune_below(
            self._shape, self.weights, self._mask_keys, limits, pruned.entries, pruned.n_pruned, pruned.threshold
        )
        return self._prune_each(rule, tight=False) if (pruned.n_pruned < 0).any() else pruned

    def _room_for(self, counts: Sequence[int]) -> CpuPruned:
        room, depth, n = offsets(counts), self.network.depth, self.n_trials
        total = max(int(room[-1]), 1)
        return CpuPruned(
            layout=self._layout,
            room=room,
            starts=np.empty((n, int(self._layout.rows[-1]) + depth), dtype=np.int64),
            columns=np.empty((n, total), dtype=np.int32),
            values=np.empty((n, total), dtype=self._dtype),
            n_pruned=np.empty((n, depth), dtype=np.int64),
            threshold=np.empty((n, depth), dtype=np.float64),
        )
