"""The operations of a micro-batch on a CUDA device: which kernels run, in which order, on which grids."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import cuda_columns, cuda_evaluation, cuda_products
from simprune.backends.cuda_batch import Array, CudaBatch, CudaPruned
from simprune.gap.base import Doubles
from simprune.rng import BLOCK, Purpose, stream

# Below this share of pruned entries a dense product and a correction of the pruned entries are cheaper than the fused
# pair where only one vector needs the product: at the first layer, where the deviation is 0, and at the last one, where
# the target's vector is of no use. On an H200 a product takes 0.4 of the time of a pair, a correction 0.3 and more.
SPARSE_SHARE = 1.0 / 16.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Passed:
    """A forward pass of the targets: pre-activations and activations of all nodes, output norms."""

    z: Any
    h: Any
    norms: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """The gaps of a propagated deviation."""

    norms: Any


class CudaOps(CudaBatch):
    """The operations of ``gap.base.Ops``; columns and masks stay on the device, decisions of an estimator do not."""

    def random_inputs(self, purpose: Purpose, count: int, *, origin: bool = False) -> Any:
        """Return ``count`` random unit vectors (for ``origin`` 0 first), and zero columns up to a multiple of 8."""
        d, columns = self.network.widths[0], (count + 7) // 8 * 8
        x = self._device.empty((self.n_trials, d, columns), self._dtype)
        draw = (*self._point.key, stream(purpose, 0), self._trials_there, count)
        self._launch_typed("normals", (-(-d * count // BLOCK), self.n_trials), *draw, x)
        self._launch_typed("to_sphere", self._groups(x), x, count)
        if origin:
            self._launch_typed("put_origin", self._flat(d), x)
        return x

    def _groups(self, x: Any) -> tuple[int, int]:
        return -(-x.shape[-1] // cuda_columns.GROUP), self.n_trials

    def _flat(self, entries: int) -> tuple[int, int]:
        return -(-entries // cuda_columns.THREADS_FLAT), self.n_trials

    def _stack(self, columns: int) -> Any:
        return self._device.empty((self.n_trials, self._nodes[-1], columns), self._dtype)

    def _there(self, x: Any) -> Any:
        """Return columns as a device array of the batch's precision."""
        return self._device.upload(np.ascontiguousarray(x, dtype=self._dtype)) if isinstance(x, np.ndarray) else x

    def _input_stack(self, x: Any) -> Any:
        stack, d = self._stack(x.shape[2]), self.network.widths[0]
        self._launch_typed("copy_rows", self._flat(d * x.shape[2]), x, 0, stack, 0, d * x.shape[2])
        return stack

    def _tiles(self, layer: int, columns: int, *, turned: bool) -> tuple[int, int, int]:
        rows = self.network.widths[layer if turned else layer + 1]
        return -(-rows // cuda_products.TILE_ROWS), self.n_trials, -(-columns // cuda_products.TILE_COLUMNS)

    def _clear(self, stack: Any, node: int) -> None:
        d, columns = self._sizes[node], stack.shape[2]
        self._launch_typed("clear_rows", self._flat(d * columns), stack, self._nodes[node] * columns, d * columns)

    def _node_norms(self, stack: Any) -> Any:
        """Return the norms of the output node, ``[n_trials, columns]``."""
        norms = self._device.empty((self.n_trials, stack.shape[2]), self._dtype)
        self._launch_typed("column_norms", self._groups(stack), stack, self._nodes[-2], self._sizes[-1], norms)
        return norms

    def _product(self, layer: int, a: Any, z: Any, *, turned: bool = False, bias: Any = None) -> None:
        grid = self._tiles(layer, a.shape[2], turned=turned)
        bias = self._zeros if bias is None else bias
        self._launch_typed("product", grid, self._plan, layer, self.weights, turned, a, z, bias)

    @cached_property
    def _zeros(self) -> Any:
        return self._device.zeros((sum(self.network.widths[1:]),), self._dtype)

    def forward(self, x: Any) -> Passed:
        """Run the targets."""
        h = self._input_stack(self._there(x))
        z = self._stack(h.shape[2])
        for layer in range(self.network.depth):
            self._product(layer, h, z, bias=self._bias)
            if layer < self.network.depth - 1:
                grid = self._flat(self.network.widths[layer + 1] * h.shape[2])
                self._launch_typed("activate", grid, self._plan, layer, *self._activation, h.shape[2], z, h)
        return Passed(z=z, h=h, norms=self._node_norms(z))

    def output_norms(self, passed: Passed) -> Array:
        """Return ||F(x)||."""
        return self._device.download(passed.norms)

    def _seed(self, outputs: Any, norms: Any) -> Any:
        """Return a stack whose output node holds the outputs over their norms."""
        p = self._stack(outputs.shape[2])
        args = (outputs, self._nodes[-2], self._sizes[-1], norms, p)
        self._launch_typed("normalise", self._groups(outputs), *args)
        return p

    def _input_node(self, stack: Any) -> Any:
        d, columns = self.network.widths[0], stack.shape[2]
        out = self._device.empty((self.n_trials, d, columns), self._dtype)
        self._launch_typed("copy_rows", self._flat(d * columns), stack, 0, out, 0, d * columns)
        return out

    def output_gradient(self, passed: Passed) -> Any:
        """Return the gradient of ||F(x)||."""
        p = self._seed(passed.z, passed.norms)
        for layer in range(self.network.depth - 1, -1, -1):
            self._product(layer, p, p, turned=True)
            if layer:
                grid = self._flat(self.network.widths[layer] * p.shape[2])
                self._launch_typed("pull_back", grid, self._plan, layer - 1, *self._activation, p.shape[2], passed.z, p)
        return self._input_node(p)

    def difference(self, passed: Passed, pruned: CudaPruned) -> Moved:
        """Propagate f(x) - F(x): dense products of the deviation, and the pruned entries one by one."""
        dz, dh = self._stack(passed.z.shape[2]), self._stack(passed.z.shape[2])
        self._clear(dh, 0)
        for layer in range(self.network.depth):
            self._deviate(layer, pruned, passed.h, dh, dz, turned=False, at_rest=layer == 0)
            if layer < self.network.depth - 1:
                self._activate_pair(layer, passed.z, dz, passed.h, dh)
        return Moved(norms=self._node_norms(dz))

    def _activate_pair(self, layer: int, z: Any, dz: Any, h: Any, dh: Any) -> None:
        grid = self._flat(self.network.widths[layer + 1] * z.shape[2])
        self._launch_typed("activate_pair", grid, self._plan, layer, *self._activation, h.shape[2], z, dz, h, dh)

    def _deviate(self, layer: int, pruned: CudaPruned, a: Any, b: Any, dz: Any, *, turned: bool, at_rest: bool) -> None:
        """dz = W b over kept - W a over pruned entries, as a product and a correction; ``at_rest``: b is 0."""
        if at_rest:
            self._clear(dz, layer if turned else layer + 1)
        else:
            self._product(layer, b, dz, turned=turned)
        rows = self.network.widths[layer if turned else layer + 1]
        grid = (-(-rows * b.shape[2] // cuda_products.THREADS_SPARSE), self.n_trials)
        mask = pruned.turned if turned else pruned.mask
        self._launch_typed("correct", grid, self._plan, layer, self.weights, mask, turned, dz.shape[2], a, b, dz)

    def gaps(self, moved: Moved) -> Array:
        """Return ||f(x) - F(x)||."""
        return self._device.download(moved.norms)

    def _advance(
        self, layer: int, pruned: CudaPruned, sources: tuple[Any, Any], sinks: tuple[Any, Any], *, turned: bool
    ) -> None:
        """Move both networks' vectors through a layer; at the ends, pruned entries one by one if they are few."""
        (a, b), (z, dz) = sources, sinks
        first, last = (self.network.depth - 1, 0) if turned else (0, self.network.depth - 1)
        if pruned.shares[layer] > SPARSE_SHARE or layer not in (first, last):
            grid = self._tiles(layer, a.shape[2], turned=turned)
            mask = pruned.turned if turned else pruned.mask
            args = (self._plan, layer, self.weights, mask, turned, a, b, z, dz, self._bias)
            self._launch_typed("pair_product", grid, *args)
            return
        if layer != last:
            self._product(layer, a, z, turned=turned, bias=self._bias)
        self._deviate(layer, pruned, a, b, dz, turned=turned, at_rest=layer == first)

    def gap_and_gradient(self, x: Any, pruned: CudaPruned) -> tuple[Array, Any]:
        """Return gap and gradient at x in one pass there and back."""
        h = self._input_stack(self._there(x))
        z, dz, dh = (self._stack(h.shape[2]) for _ in range(3))
        depth = self.network.depth
        self._clear(dh, 0)
        for layer in range(depth):
            self._advance(layer, pruned, (h, dh), (z, dz), turned=False)
            if layer < depth - 1:
                self._activate_pair(layer, z, dz, h, dh)
        norms = self._node_norms(dz)
        # The adjoint starts as the direction of the deviation for both networks: q of the target, q + e of the pruned one.
        q, e = self._seed(dz, norms), dh
        self._clear(e, depth)
        for layer in range(depth - 1, -1, -1):
            self._advance(layer, pruned, (q, e), (q, e), turned=True)
            if layer:
                grid = self._flat(self.network.widths[layer] * h.shape[2])
                self._launch_typed("pull_back_pair", grid, self._plan, layer - 1, *self._activation, h.shape[2], z, dz, q, e)
        return self._device.download(norms), self._input_node(e)

    def step(self, x: Any, gradient: Any, length: Array) -> Any:
        """Return the projected step."""
        x, gradient = self._there(x), self._there(gradient)
        out = self._device.empty(x.shape, self._dtype)
        self._launch_typed("move", self._groups(x), x, gradient, self._device.upload(length.astype(self._dtype)), out)
        return out

    def choose(self, wanted: npt.NDArray[np.bool_], yes: Any, no: Any) -> Any:
        """Return the columns of ``yes`` where ``wanted``, of ``no`` elsewhere."""
        yes, no = self._there(yes), self._there(no)
        out = self._device.empty(yes.shape, self._dtype)
        grid = self._flat(yes.shape[1] * yes.shape[2])
        self._launch_typed("choose", grid, self._device.upload(wanted.astype(np.uint8)), yes, no, out)
        return out

    def take(self, x: Any, columns: npt.NDArray[np.int64]) -> Array:
        """Return one column a trial, ``[n_trials, d_0]``, on the host."""
        x = self._there(x)
        out = self._device.empty(x.shape[:2], self._dtype)
        self._launch_typed("take", self._flat(x.shape[1]), x, self._device.upload(columns.astype(np.int64)), out)
        return self._device.download(out)

    def evaluate(self, x: Array, pruned: CudaPruned) -> tuple[Doubles, Doubles]:
        """Return gap and rounding error bound in float64."""
        widths, n = self.network.widths, self.n_trials
        state = self._device.empty((n, 8, max(widths)), np.float64)
        self._launch("evaluate_start", (1, n), self._device.upload(np.ascontiguousarray(x, dtype=np.float64)), state)
        activation = self.network.activation
        constants = (activation.lipschitz, activation.curvature, abs(activation.value_at_zero))
        propagate = "evaluate_layer_of_singles" if self._bits == 32 else "evaluate_layer_of_doubles"
        for layer, width in enumerate(widths[1:]):
            grid = (-(-width // cuda_evaluation.ROWS_OF_BLOCK), n)
            self._launch(propagate, grid, self._plan, layer, self.weights, pruned.mask, self._bias, state)
            if layer < self.network.depth - 1:
                self._launch("evaluate_activation", self._flat(width), *self._activation, *constants, width, state)
        found = self._device.empty((n, 2), np.float64)
        self._launch("evaluate_norm", (1, n), widths[-1], state, found)
        gap, noise = self._device.download(found).T.copy()
        return gap, noise
