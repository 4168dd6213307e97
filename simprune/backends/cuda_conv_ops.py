"""The operations of a micro-batch of networks with convolutions or pooling on a CUDA device."""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import cuda_conv, cuda_evaluation, cuda_products
from simprune.backends.base import Trials
from simprune.backends.conv_walk import steps_of
from simprune.backends.cuda_batch import Array, CudaPruned
from simprune.backends.cuda_device import AbstractDevice
from simprune.backends.cuda_ops import CudaOps, Moved, Passed
from simprune.backends.cuda_plan import D_OUT, GROUPS, chain_plan
from simprune.backends.elementwise import CODES
from simprune.design.point import Point
from simprune.gap.base import Doubles
from simprune.model.activations import Identity
from simprune.trained.network import TrainedNetwork

LINEAR = (CODES[Identity], 0.0)
Pair = tuple[Any, Any]


class ConvCudaOps(CudaOps):
    """Step i leads from node i to node i + 1; a stack h holds what it gives, a stack z what its activation got."""

    def __init__(self, device: AbstractDevice, point: Point, trials: Trials, trained: TrainedNetwork | None) -> None:
        self._steps = steps_of(point.network)
        super().__init__(device, point, trials, trained)
        self._windows = {i: device.upload(np.array(s.window, np.int64)) for i, s in enumerate(self._steps) if s.window}
        values = self._plan_host.copy()
        values[:, D_OUT] = [step.n_out for step in self._steps if step.plan is not None]
        self._values_plan = device.upload(values)

    def _layers(self) -> npt.NDArray[np.int64]:
        return chain_plan(self.network, self._nodes)

    @cached_property
    def _no_mask(self) -> Any:
        return self._device.zeros((1, 1), np.uint32)

    def _convolve(self, i: int, pruned: CudaPruned | None, sources: Pair, sinks: Pair, *, turned: bool) -> None:
        """Move the targets' vectors through the layer of step i, and with ``pruned`` the deviations."""
        layer = self._steps[i].number
        stage, groups = self.network.weighted[layer], int(self._plan_host[layer, GROUPS])
        channels, *image = stage.input if turned else stage.output
        tiles = groups * -(-channels // groups // cuda_products.TILE_ROWS)
        columns = int(np.prod(image)) * sources[0].shape[2]
        grid = (tiles, self.n_trials, -(-columns // cuda_products.TILE_COLUMNS))
        mask = self._no_mask if pruned is None else pruned.mask
        way = cuda_conv.TURNED * turned + cuda_conv.PAIRED * (pruned is not None)
        args = (self._plan, layer, self.weights, mask, way, *sources, *sinks, self._bias)
        self._launch_typed("convolve", grid, *args)

    def _pool(self, i: int, h: Any, dh: Any | None) -> None:
        step, nodes = self._steps[i], (self._nodes[i], self._nodes[i + 1])
        both = (h, h if dh is None else dh)
        grid = self._flat(step.n_out * h.shape[2])
        self._launch_typed("pool", grid, self._windows[i], *nodes, step.n_out, dh is not None, *both)

    def _pull_pool(self, i: int, values: Pair, adjoints: tuple[Any, Any | None]) -> None:
        (q, e), nodes, m = adjoints, (self._nodes[i], self._nodes[i + 1]), self._sizes[i]
        both = (*values, q, q if e is None else e)
        grid = self._flat(m * q.shape[2])
        self._launch_typed("pull_pool", grid, self._windows[i], *nodes, m, e is not None, *both)

    def _through(self, name: str, i: int, *stacks: Any) -> None:
        """Run the kernel of an activation behind step i; behind the last layer there is none."""
        step = self._steps[i]
        function = self._activation if step.is_hidden else LINEAR
        grid = self._flat(step.n_out * stacks[0].shape[2])
        self._launch_typed(name, grid, self._values_plan, step.number, *function, stacks[0].shape[2], *stacks)

    def forward(self, x: Any) -> Passed:
        """Run the targets."""
        h = self._input_stack(self._there(x))
        z = self._stack(h.shape[2])
        for i, step in enumerate(self._steps):
            if step.plan is None:
                self._pool(i, h, None)
            else:
                self._convolve(i, None, (h, h), (z, z), turned=False)
                self._through("activate", i, z, h)
        return Passed(z=z, h=h, norms=self._node_norms(h))

    def output_gradient(self, passed: Passed) -> Any:
        """Return the gradient of ||F(x)||."""
        q = self._seed(passed.h, passed.norms)
        for i, step in reversed(list(enumerate(self._steps))):
            if step.plan is None:
                self._pull_pool(i, (passed.h, passed.h), (q, None))
                continue
            if step.is_hidden:
                self._through("pull_back", i, passed.z, q)
            self._convolve(i, None, (q, q), (q, q), turned=True)
        return self._input_node(q)

    def difference(self, passed: Passed, pruned: CudaPruned) -> Moved:
        """Propagate f(x) - F(x)."""
        columns = passed.z.shape[2]
        _, _, dh = self._moved(passed.h, pruned, (self._stack(columns), self._stack(columns), self._stack(columns)))
        return Moved(norms=self._node_norms(dh))

    def _moved(self, h: Any, pruned: CudaPruned, stacks: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        """Run both networks from the input node of h on; return z, dz and dh."""
        z, dz, dh = stacks
        self._clear(dh, 0)
        for i, step in enumerate(self._steps):
            if step.plan is None:
                self._pool(i, h, dh)
            else:
                self._convolve(i, pruned, (h, dh), (z, dz), turned=False)
                self._through("activate_pair", i, z, dz, h, dh)
        return z, dz, dh

    def gap_and_gradient(self, x: Any, pruned: CudaPruned) -> tuple[Array, Any]:
        """Return gap and gradient at x in one pass there and back."""
        h = self._input_stack(self._there(x))
        columns = h.shape[2]
        z, dz, dh = self._moved(h, pruned, (self._stack(columns), self._stack(columns), self._stack(columns)))
        norms = self._node_norms(dh)
        # The adjoint starts as the direction of the deviation for both networks: q of the target, q + e of the pruned one.
        q, e = self._seed(dh, norms), self._stack(columns)
        self._clear(e, len(self._steps))
        for i, step in reversed(list(enumerate(self._steps))):
            if step.plan is None:
                self._pull_pool(i, (h, dh), (q, e))
                continue
            if step.is_hidden:
                self._through("pull_back_pair", i, z, dz, q, e)
            self._convolve(i, pruned, (q, e), (q, e), turned=True)
        return self._device.download(norms), self._input_node(e)

    def evaluate(self, x: Array, pruned: CudaPruned) -> tuple[Doubles, Doubles]:
        """Return gap and rounding error bound in float64."""
        n = self.n_trials
        state = self._device.empty((n, 8, max(self._sizes)), np.float64)
        self._launch("evaluate_start", (1, n), self._device.upload(np.ascontiguousarray(x, dtype=np.float64)), state)
        activation = self.network.activation
        constants = (activation.lipschitz, activation.curvature, abs(activation.value_at_zero))
        correlate = "evaluate_convolution_of_singles" if self._bits == 32 else "evaluate_convolution_of_doubles"
        for i, step in enumerate(self._steps):
            if step.plan is None:
                self._launch("evaluate_pool", self._flat(step.n_out), self._windows[i], step.n_out, state)
            else:
                grid = (-(-step.n_out // cuda_evaluation.ROWS_OF_BLOCK), n)
                at = (self._plan, step.number)
                self._launch(correlate, grid, *at, self.weights, pruned.mask, self._bias, state)
            if i < len(self._steps) - 1:
                function = (*self._activation, *constants) if step.is_hidden else (*LINEAR, 1.0, 0.0, 0.0)
                self._launch("evaluate_activation", self._flat(step.n_out), *function, step.n_out, state)
        found = self._device.empty((n, 2), np.float64)
        self._launch("evaluate_norm", (1, n), self._sizes[-1], state, found)
        gap, noise = self._device.download(found).T.copy()
        return gap, noise
