"""The operations of ``gap.base.Ops`` for one pair of explicit networks on a ball of inputs, in float64 on NumPy.

Weights and biases may differ anyhow. Inputs of the operations are directions u in the unit ball; the networks see
x = center + radius u. The error bounds of ``evaluate`` are those of ``reference_bounds``, with two more sources: biases
that differ, and differences of weights that float64 cannot hold (``Parts.rest``).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import explicit_kernels as kernels
from simprune.backends import explicit_maps as maps
from simprune.backends.base import HostColumns
from simprune.backends.elementwise import CODES
from simprune.backends.explicit_norms import map_norm, vector_norm
from simprune.backends.explicit_pair import Ball, ExplicitPair
from simprune.backends.explicit_semidefinite import pair_bound
from simprune.backends.reference_bounds import EPS, SLACK, bend, gamma
from simprune.backends.reference_passes import column_norms, step
from simprune.backends.reference_sampling import sphere_points
from simprune.gap.base import Array, LayerNorms
from simprune.model.chain import Stage
from simprune.model.network import NetworkSpec
from simprune.rng import Purpose, network_key

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """Values before an activation, z and dz, with componentwise bounds ez and edz of their errors."""

    z: Doubles
    ez: Doubles
    dz: Doubles
    edz: Doubles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traced:
    """Values along the stages: what enters each one, and what leaves it before an activation."""

    inputs: list[Doubles]
    outputs: list[Doubles]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExplicitOps(HostColumns):
    """One trial: the pair. The argument ``pruned`` of the operations is not used."""

    pair: ExplicitPair
    ball: Ball
    seed: int = 0
    n_trials: int = 1

    @property
    def network(self) -> NetworkSpec:
        """The architecture."""
        return self.pair.network

    @cached_property
    def _activation(self) -> tuple[int, float, int | None]:
        activation = self.network.activation
        return CODES[type(activation)], activation.parameter, 1 if 0.0 < activation.curvature < np.inf else None

    @cached_property
    def _layers(self) -> tuple[tuple[Stage, int | None, bool], ...]:
        """Every stage with the index of its weights, and whether an activation follows."""
        found, layer = [], 0
        for stage in self.network.stages:
            weighted = stage.layer.is_weighted
            found.append((stage, layer if weighted else None, weighted and layer < self.network.depth - 1))
            layer += weighted
        return tuple(found)

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Doubles:
        key = network_key(self.seed, self.network.to_dict())
        x = sphere_points(key, purpose, trial=0, shape=(self.network.widths[0], count))[None]
        if origin:
            x[:, :, 0] = 0.0
        return x

    def forward(self, x: Doubles) -> Traced:
        inputs, outputs = [], []
        h = self._images(self.ball.center[:, None] + self.ball.radius * x[0])
        for stage, layer, active in self._layers:
            inputs.append(h)
            if layer is not None:
                z = maps.apply(stage, self.pair.weights.target[layer], h) + _spread(self.pair.biases.target[layer], h.ndim)
            else:
                z = self._unweighted(stage, h)
            outputs.append(z)
            h = self._activated(z) if active else z
        return Traced(inputs=inputs, outputs=outputs)

    def difference(self, passed: Traced, pruned: Any) -> Traced:
        inputs, outputs = [], []
        dh = np.zeros_like(passed.inputs[0])
        for (stage, layer, active), h, z in zip(self._layers, passed.inputs, passed.outputs, strict=True):
            inputs.append(dh)
            if layer is not None:
                weights, bias = self.pair.weights, self.pair.biases.moves[layer]
                dz = maps.apply(stage, weights.target[layer], dh) + maps.apply(stage, weights.moves[layer], h + dh)
                dz += _spread(bias, h.ndim)
            else:
                dz = maps.pool_difference(stage, h, dh) if h.ndim == 4 and z.ndim == 4 else dh.reshape(z.shape)
            outputs.append(dz)
            dh = self._moved(z, dz) if active else dz
        return Traced(inputs=inputs, outputs=outputs)

    def output_norms(self, passed: Traced) -> Doubles:
        return _lengths(passed.outputs[-1])

    def gaps(self, moved: Traced) -> Doubles:
        return _lengths(moved.outputs[-1])

    def output_gradient(self, passed: Traced) -> Doubles:
        p = passed.outputs[-1].copy()
        for (stage, layer, active), h, z in reversed(list(zip(self._layers, passed.inputs, passed.outputs, strict=True))):
            if active:
                kernels.pull_back_all(self._activation, z.reshape(-1), p.reshape(-1))
            p = self._pulled(stage, layer, h, p, pruned=False)
        return p.reshape(1, -1, p.shape[-1])

    def gap_and_gradient(self, x: Doubles, pruned: Any) -> tuple[Doubles, Doubles]:
        passed = self.forward(x)
        moved = self.difference(passed, pruned)
        p = moved.outputs[-1].copy()
        e = np.zeros_like(p)
        for (stage, layer, active), h, z, dh, dz in reversed(
            list(zip(self._layers, passed.inputs, passed.outputs, moved.inputs, moved.outputs, strict=True))
        ):
            if active:
                flat = (a.reshape(-1) for a in (z, dz, p, e))
                kernels.pull_back_pair_all(self._activation, *flat)
            if layer is not None:
                e = self._pulled(stage, layer, h, e, pruned=False) + maps.adjoint(stage, self.pair.weights.moves[layer], p)
                p = self._pulled(stage, layer, h, p, pruned=True)
            else:
                kept = self._pulled(stage, layer, h + dh, p, pruned=True)
                e = self._pulled(stage, layer, h, e - p, pruned=False) + kept
                p = kept
        return self.gaps(moved), e.reshape(1, -1, e.shape[-1])

    def step(self, x: Doubles, gradient: Doubles, length: Doubles) -> Doubles:
        return step(x, gradient, length)

    def evaluate(self, x: Doubles, pruned: Any) -> tuple[Doubles, Doubles]:
        return self.gap_at(self.ball.point(x[0]))

    def gap_at(self, x: Doubles) -> tuple[Doubles, Doubles]:
        """Return the gap at an input ``[d_0]`` and its rounding error bound, ``[1]`` each."""
        last = self._traced_errors(x)[-1]
        gap = float(np.linalg.norm(last.dz))
        noise = SLACK * (float(np.linalg.norm(last.edz)) + gamma(last.dz.size) * gap)
        return np.array([gap]), np.array([noise])

    def layer_norms(self, pruned: Any) -> LayerNorms:
        """Return certified norms, those of the first weighted layer times the radius."""
        return self._norms

    @cached_property
    def _norms(self) -> LayerNorms:
        weights, rows = self.pair.weights, []
        for layer, stage in enumerate(self.network.weighted):
            scale = self.ball.radius if layer == 0 else 1.0
            delta = map_norm(stage, weights.moves[layer]) + vector_norm(weights.rest[layer]) * np.sqrt(stage_taps(stage))
            norms = (map_norm(stage, weights.target[layer]), map_norm(stage, weights.pruned[layer]), delta)
            rows.append([norm * scale * (1.0 + 4.0 * EPS) for norm in norms])
        columns = np.array(rows).T[:, None, :]
        return LayerNorms(target=columns[0], pruned=columns[1], delta=columns[2])

    def bias_norms(self) -> tuple[float, ...]:
        """Return bounds of the target's biases; the first one holds the layer's value at the center."""
        first = self.at_center
        return (vector_norm(np.abs(first.z) + first.ez), *self._bias_norms_of(self.pair.biases.target))

    def bias_moves(self) -> tuple[float, ...]:
        """Return bounds of what the pruned network's biases differ by, the first one at the center."""
        first, biases = self.at_center, self.pair.biases
        moves = tuple(np.abs(move) + np.abs(rest) for move, rest in zip(biases.moves, biases.rest, strict=True))
        return (vector_norm(np.abs(first.dz) + first.edz), *self._bias_norms_of(moves))

    def _bias_norms_of(self, biases: tuple[Doubles, ...]) -> tuple[float, ...]:
        stages = self.network.weighted[1:]
        sizes = (np.sqrt(np.prod(stage.output[1:])) * (1.0 + EPS) for stage in stages)
        return tuple(vector_norm(bias) * float(size) for bias, size in zip(biases[1:], sizes, strict=True))

    @cached_property
    def at_center(self) -> Errors:
        """The first weighted layer's values at the center of the ball."""
        first = next(i for i, (_, layer, _) in enumerate(self._layers) if layer == 0)
        return self._traced_errors(self.ball.center)[first]

    def linear_gap(self, pruned: Any) -> Doubles:
        raise NotImplementedError("the bracket of a pair has its own certificate for affine networks")

    def semidefinite_gap(self, pruned: Any, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int) -> Doubles:
        """Return the certified gap of the semidefinite relaxation (plain networks of at least two layers)."""
        return np.array([pair_bound(self.pair, self.ball.radius, self.at_center.z, self.at_center.dz, norms, steps=steps)])

    def exact_gap(self, pruned: Any, floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        raise NotImplementedError("the bracket of a pair does not take the exact estimator")

    def _traced_errors(self, x: Doubles) -> list[Errors]:
        found = []
        h = self._images(x[:, None].copy())
        eh = dh = edh = np.zeros_like(h)
        for stage, layer, active in self._layers:
            errors = self._weighted_errors(stage, layer, h, eh, dh, edh) if layer is not None else None
            errors = errors or self._unweighted_errors(stage, h, eh, dh, edh)
            found.append(errors)
            h, eh, dh, edh = errors.z, errors.ez, errors.dz, errors.edz
            if active:
                h, eh, dh, edh = self._activated_errors(errors)
        return found

    def _weighted_errors(self, stage: Stage, layer: int, h: Doubles, eh: Doubles, dh: Doubles, edh: Doubles) -> Errors:
        weights, biases, g = self.pair.weights, self.pair.biases, gamma(maps.n_terms(stage))
        weight, move, rest = weights.target[layer], weights.moves[layer], weights.rest[layer]
        bias, bias_move = _spread(biases.target[layer], h.ndim), _spread(biases.moves[layer], h.ndim)
        size, both = np.abs(weight), h + dh
        z = maps.apply(stage, weight, h) + bias
        dz = maps.apply(stage, weight, dh) + maps.apply(stage, move, both) + bias_move
        ez = maps.apply(stage, size, eh + g * np.abs(h)) + g * np.abs(bias)
        edz = maps.apply(stage, size, edh + g * np.abs(dh))
        edz += maps.apply(stage, np.abs(move), eh + edh + (g + EPS) * np.abs(both))
        edz += maps.apply(stage, np.abs(rest), np.abs(both) + eh + edh) + g * np.abs(bias_move)
        return Errors(z=z, ez=ez, dz=dz, edz=edz + _spread(np.abs(biases.rest[layer]), h.ndim))

    def _unweighted_errors(self, stage: Stage, h: Doubles, eh: Doubles, dh: Doubles, edh: Doubles) -> Errors:
        if len(stage.output) != 3:
            z, ez, dz, edz = (a.reshape(-1, a.shape[-1]) for a in (h, eh, dh, edh))
            return Errors(z=z, ez=ez, dz=dz, edz=edz)
        ez, edz = maps.pool_errors(stage, (h, eh), (dh, edh), gamma(maps.n_terms(stage)))
        return Errors(z=maps.pool(stage, h), ez=ez, dz=maps.pool_difference(stage, h, dh), edz=edz)

    def _activated_errors(self, errors: Errors) -> tuple[Doubles, Doubles, Doubles, Doubles]:
        activation = self.network.activation
        h, dh = self._activated(errors.z), self._moved(errors.z, errors.dz)
        eh = activation.lipschitz * errors.ez + 8 * EPS * (np.abs(h) + abs(activation.value_at_zero))
        own = activation.lipschitz * (errors.edz + 16 * EPS * np.abs(errors.dz))
        return h, eh, dh, own + bend(activation, errors.z, errors.dz, errors.ez)

    def _images(self, x: Doubles) -> Doubles:
        return np.ascontiguousarray(x.reshape(*self.network.input_shape, x.shape[-1]))

    def _unweighted(self, stage: Stage, h: Doubles) -> Doubles:
        return maps.pool(stage, h) if len(stage.output) == 3 else h.reshape(-1, h.shape[-1])

    def _activated(self, z: Doubles) -> Doubles:
        h = np.empty_like(z)
        kernels.activate_all(self._activation, z.reshape(-1), h.reshape(-1))
        return h

    def _moved(self, z: Doubles, dz: Doubles) -> Doubles:
        dh = np.empty_like(z)
        kernels.difference_all(self._activation, z.reshape(-1), dz.reshape(-1), dh.reshape(-1))
        return dh

    def _pulled(self, stage: Stage, layer: int | None, h: Doubles, p: Doubles, *, pruned: bool) -> Doubles:
        if layer is not None:
            weights = self.pair.weights
            return maps.adjoint(stage, (weights.pruned if pruned else weights.target)[layer], p)
        return maps.pool_adjoint(stage, h, p) if len(stage.output) == 3 else p.reshape(h.shape)


def stage_taps(stage: Stage) -> int:
    """Return how often one weight of a layer acts: once in a matrix, once an output position in a kernel."""
    return int(np.prod(stage.output[1:]))


def _spread(bias: Doubles, n_axes: int) -> Doubles:
    return bias.reshape(-1, *(1,) * (n_axes - 1))


def _lengths(outputs: Doubles) -> Doubles:
    return column_norms(outputs.reshape(1, -1, outputs.shape[-1]))
