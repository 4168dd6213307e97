"""Passes through networks with layers of any kind: the kernels of one layer, one after the other, for all trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import conv_evaluation as evaluation
from simprune.backends import conv_passes as passes
from simprune.backends import conv_pooling as pooling
from simprune.backends.conv_plan import LayerPlan, layer_plan
from simprune.backends.conv_sampling import PrunedLayer
from simprune.backends.conv_weights import PlainWeights, SpreadWeights, dense_weights
from simprune.backends.elementwise import CODES
from simprune.model.chain import Stage
from simprune.model.layers import AbstractMaximum, AbstractPool
from simprune.model.network import NetworkSpec

Array = npt.NDArray[Any]
NOTHING = np.zeros((0, 0, 0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One map: the weighted layer ``number``, followed by the activation if ``is_hidden``, or pooling (number -1)."""

    number: int
    n_out: int
    plan: LayerPlan | None = None
    window: tuple[int, ...] = ()
    is_hidden: bool = False

    @property
    def is_maximum(self) -> bool:
        """Whether the map is maximum pooling."""
        return bool(self.window and self.window[-1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """What enters every step and what leaves the last one (``at``), and what activations got (``before``), by step.

    Deviations have the same form; until the first weighted layer they are 0 and None.
    """

    at: tuple[Array | None, ...]
    before: tuple[Array | None, ...]


def steps_of(network: NetworkSpec) -> tuple[Step, ...]:
    """Return the maps of a network; flattening is none."""
    steps, number = [], 0
    for stage in network.stages:
        size = int(np.prod(stage.output))
        if stage.layer.is_weighted:
            hidden = number < network.depth - 1
            steps.append(Step(number=number, n_out=size, plan=layer_plan(stage), is_hidden=hidden))
            number += 1
        elif isinstance(stage.layer, AbstractPool):
            steps.append(Step(number=-1, n_out=size, window=_window(stage, stage.layer)))
    return tuple(steps)


def _window(stage: Stage, layer: AbstractPool) -> tuple[int, ...]:
    kernel, stride = layer.window(stage.input)
    return (*stage.input, *kernel, *stride, *stage.output[1:], int(isinstance(layer, AbstractMaximum)))


class Walk:
    """Passes of one micro-batch; ``weights`` are ``[n_trials, D_l]`` by layer.

    Results that leave a walk are new arrays; what it needs in between is kept for the next call.
    """

    def __init__(self, network: NetworkSpec, weights: Sequence[Array], biases: Sequence[Array]) -> None:
        self.network, self.weights, self.biases = network, tuple(weights), tuple(biases)
        self.n_trials, self.dtype = len(weights[0]), weights[0].dtype
        self.steps = steps_of(network)
        activation = network.activation
        smooth = 1 if 0.0 < activation.curvature < np.inf else None
        self.activation = (CODES[type(activation)], activation.parameter, smooth)
        self._constants = (activation.lipschitz, activation.curvature, abs(activation.value_at_zero))
        self._kept: dict[tuple[Any, ...], Array] = {}

    @cached_property
    def _dense(self) -> list[PlainWeights | SpreadWeights]:
        """The targets' weights for the forward pass, by layer."""
        plans = [step.plan for step in self.steps if step.plan is not None]
        return [dense_weights(p.forward, w) for w, p in zip(self.weights, plans, strict=True)]

    @cached_property
    def _turned(self) -> list[PlainWeights | SpreadWeights]:
        """The targets' weights for the adjoint, by layer."""
        plans = [step.plan for step in self.steps if step.plan is not None]
        return [dense_weights(p.adjoint, w[:, p.order]) for w, p in zip(self.weights, plans, strict=True)]

    def _room(self, name: str | None, place: int, n_rows: int, n_columns: int) -> Array:
        """Return an array for an intermediate result: a new one, or the one kept under a name."""
        shape = (self.n_trials, n_rows, n_columns)
        if name is None:
            return np.empty(shape, self.dtype)
        key = (name, place, shape)
        if key not in self._kept:
            self._kept[key] = np.empty(shape, self.dtype)
        return self._kept[key]

    def forward(self, x: Array, *, reuse: bool = False) -> Values:
        """Run the targets; with ``reuse`` the next such pass overwrites the values."""
        at, before = [x], []
        for i, step in enumerate(self.steps):
            out = self._room("z" if reuse else None, i, step.n_out, x.shape[2])
            before.append(out)
            if step.plan is None:
                pooling.pool(step.window, at[-1], out)
            else:
                self._dense[step.number].write(at[-1], out)
                _add_bias(self.biases[step.number], step.plan.positions, out)
            if step.is_hidden:
                out = self._room("h" if reuse else None, i, step.n_out, x.shape[2])
                passes.activate_all(self.activation, before[-1], out)
            at.append(out)
        return Values(at=tuple(at), before=tuple(before))

    def difference(self, passed: Values, pruned: Sequence[PrunedLayer], *, reuse: bool = False) -> Values:
        """Propagate f(x) - F(x); ``reuse`` as for ``forward``."""
        at: list[Array | None] = [None]
        before: list[Array | None] = []
        for i, step in enumerate(self.steps):
            h, dh = passed.at[i], at[-1]
            assert h is not None
            stays = step.plan is None and dh is None
            out = None if stays else self._room("dz" if reuse else None, i, step.n_out, h.shape[2])
            before.append(out)
            if step.plan is not None:
                self._deviation(step, pruned[step.number], h, dh, out)
            elif dh is not None and step.is_maximum:
                pooling.pool_difference(step.window, h, dh, out)
            elif dh is not None:
                pooling.pool(step.window, dh, out)
            if step.is_hidden:
                out = self._room("dh" if reuse else None, i, step.n_out, h.shape[2])
                passes.activate_difference_all(self.activation, passed.before[i], before[-1], out)
            at.append(out)
        return Values(at=tuple(at), before=tuple(before))

    def pull(self, passed: Values, units: Array) -> Array:
        """Return the adjoint of F applied to ``units``, which are used up."""
        p = units
        for i, step in reversed(list(enumerate(self.steps))):
            out = self._room("p" if i else None, i, _size(passed.at[i]), p.shape[2])
            if step.plan is None:
                pooling.pull_pool(step.window, passed.at[i], p, out)
            else:
                if step.is_hidden:
                    passes.pull_back_all(self.activation, passed.before[i], p)
                self._adjoint(step, None, p, p, out)
            p = out
        return p

    def pull_difference(self, passed: Values, moved: Values, pruned: Sequence[PrunedLayer], units: Array) -> Array:
        """Return (J_f - J_F)^T ``units``, which are used up: p is carried by J_f and e is the difference."""
        p, e = units, None
        for i, step in reversed(list(enumerate(self.steps))):
            size, n = _size(passed.at[i]), units.shape[2]
            p_out, e_out = self._room("p", i, size, n), self._room("e" if i else None, i, size, n)
            if step.plan is not None:
                if step.is_hidden:
                    passes.pull_back_pair_all(self.activation, passed.before[i], moved.before[i], p, e)
                self._adjoint(step, pruned[step.number], e, p, e_out)
                if step.number:
                    self._adjoint(step, pruned[step.number], p, p, p_out)
            elif moved.at[i] is None:
                pooling.pull_pool(step.window, passed.at[i], e, e_out)
            elif step.is_maximum:
                e = np.zeros_like(p) if e is None else e
                pooling.pull_pool_pair(step.window, passed.at[i], moved.at[i], p, e, p_out, e_out)
            else:
                pooling.pull_pool(step.window, passed.at[i], p, p_out)
                if e is not None:
                    pooling.pull_pool(step.window, passed.at[i], e, e_out)
            e = e_out if step.plan is not None or e is not None else None
            p = p_out
        assert e is not None
        return e

    def _deviation(self, step: Step, pruned: PrunedLayer, h: Array, dh: Array | None, out: Any) -> None:
        """Write dz = W dh - Delta (h + dh)."""
        assert step.plan is not None
        if dh is None:
            pruned.forward.write(h, out)
            return
        self._dense[step.number].write(dh, out)
        pruned.forward.add(np.add(h, dh, out=self._room("both", 0, *h.shape[1:])), out)

    def _adjoint(self, step: Step, pruned: PrunedLayer | None, dense: Array | None, sparse: Array, out: Array) -> None:
        """Write W^T dense - Delta^T sparse; None leaves a term out."""
        assert step.plan is not None
        image = out
        if step.plan.folds:
            image = self._room("image", 0, step.plan.n_image, out.shape[2])
        if dense is not None:
            self._turned[step.number].write(dense, image)
            if pruned is not None:
                pruned.adjoint.add(sparse, image)
        elif pruned is not None:
            pruned.adjoint.write(sparse, image)
        if step.plan.folds:
            passes.fold_all(step.plan.forward.packed, image, out)

    def evaluate(self, x: Array, pruned: Sequence[PrunedLayer]) -> tuple[Array, Array]:
        """Return the gap at one input a trial and its rounding error bound, in float64."""
        state = evaluation.start(x)
        for step in self.steps:
            if step.plan is None:
                state = evaluation.pooled(step.window, step.n_out, state)
                continue
            arrays = (self.weights[step.number], self.biases[step.number], pruned[step.number].entries)
            state = evaluation.layer(step.plan, *arrays, state)
            if step.is_hidden:
                state = evaluation.activated(self.activation, self._constants, state)
        return evaluation.gap_and_noise(state)


def _add_bias(bias: Array, positions: int, out: Array) -> None:
    if bias.size:
        out += np.repeat(bias, positions)[None, :, None]


def _size(values: Array | None) -> int:
    assert values is not None
    return int(values.shape[1])
