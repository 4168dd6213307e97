"""The operations of a micro-batch on a CUDA device: which kernels run, in which order, on which grids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import cuda_columns, cuda_evaluation, cuda_passes, cuda_selection
from simprune.backends.base import Trials
from simprune.backends.cpu import TOP_KEY
from simprune.backends.cuda_device import AbstractDevice
from simprune.backends.cuda_plan import layer_plan, mask_words
from simprune.backends.cuda_scalars import factor_of
from simprune.backends.cuda_twin import HostTwin
from simprune.backends.elementwise import CODES
from simprune.backends.sampling import LAW_CODES
from simprune.design.point import Point
from simprune.gap.base import Doubles, LayerNorms
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import BLOCK, Purpose, stream
from simprune.trained.network import TrainedNetwork

# Below this share of pruned entries a dense product and a correction of the pruned entries are cheaper than the fused
# pair: an entry corrects in about 15 instructions of a warp, and spares a dense one about 1.5.
SPARSE_SHARE = 1.0 / 16.0
# Digits of a histogram of 2^11 bins are emptied into the common one by each block: one block for so many keys.
KEYS_OF_BLOCK = 1 << 16
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class CudaPruned:
    """Masks of a batch on the device (``cuda_selection``), and the share of every layer that its rule prunes."""

    device: AbstractDevice
    mask: Any
    turned: Any
    counts: Any
    smallest: Any
    shares: tuple[float, ...]

    @cached_property
    def n_pruned(self) -> npt.NDArray[np.int64]:
        """Number of pruned weights, ``[n_trials, depth]``."""
        return self.device.download(self.counts).astype(np.int64)

    @cached_property
    def threshold(self) -> npt.NDArray[np.float64]:
        """Smallest kept magnitude, inf if none is kept, ``[n_trials, depth]``."""
        bits = self.device.download(self.smallest)
        return bits.view(np.float32 if bits.dtype == np.int32 else np.float64).astype(np.float64)


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


class CudaOps:
    """The operations of ``gap.base.Ops``; columns and masks stay on the device, decisions of an estimator do not."""

    def __init__(self, device: AbstractDevice, point: Point, trials: Trials, trained: TrainedNetwork | None) -> None:
        self.network = point.network
        self.n_trials = len(trials)
        self._device, self._point, self._trained, self._trials = device, point, trained, trials
        self._dtype = np.dtype(point.precision)
        self._bits = self._dtype.itemsize * 8
        self._key_dtype = np.dtype(f"uint{self._bits}")
        widths = point.network.widths
        self._plan_host = layer_plan(widths)
        self._nodes = [0, *np.cumsum(widths).tolist()]
        self._plan = device.upload(self._plan_host)
        self._trials_there = device.upload(np.ascontiguousarray(trials))
        self._activation = (CODES[type(point.network.activation)], point.network.activation.parameter)
        bias = np.zeros(sum(widths[1:])) if trained is None else np.concatenate(trained.biases)
        self._bias = device.upload(bias.astype(self._dtype))
        self.weights, self._keys = self._sample()

    def _launch(self, name: str, grid: tuple[int, ...], *arguments: Any) -> None:
        self._device.launch(name, grid, *arguments)

    def _launch_typed(self, name: str, grid: tuple[int, ...], *arguments: Any) -> None:
        self._device.launch(f"{name}{self._bits}", grid, *arguments)

    def _streams(self, high: Purpose, low: Purpose, layer: int) -> int:
        return stream(high, layer) if self._bits == 32 else stream(high, layer) | stream(low, layer) << 32

    def _sample(self) -> tuple[Any, Any]:
        shape = (self.n_trials, sum(self.network.n_weights))
        if self._trained is not None:
            flat = np.concatenate([w.ravel() for w in self._trained.weights]).astype(self._dtype)
            weights = np.ascontiguousarray(np.broadcast_to(flat, shape))
            return self._device.upload(weights), self._device.upload(np.abs(weights).view(self._key_dtype))
        weights, keys = self._device.empty(shape, self._dtype), self._device.empty(shape, self._key_dtype)
        distribution = self.network.distribution
        assert distribution is not None
        law = LAW_CODES[type(distribution)]
        for layer, (n, scale) in enumerate(zip(self.network.n_weights, self.network.scales, strict=True)):
            draw = (*self._point.key, self._streams(Purpose.WEIGHT, Purpose.WEIGHT_LOW, layer), self._trials_there)
            factor = factor_of(law, scale, self._dtype.name)
            grid = (-(-n // BLOCK), self.n_trials)
            self._launch_typed("sample", grid, *draw, law, factor, self._plan, layer, weights, keys)
        return weights, keys

    @cached_property
    def _mask_keys(self) -> Any:
        keys = self._device.empty((self.n_trials, sum(self.network.n_weights)), self._key_dtype)
        for layer, n in enumerate(self.network.n_weights):
            draw = (*self._point.key, self._streams(Purpose.MASK, Purpose.MASK_LOW, layer), self._trials_there)
            self._launch_typed("mask_keys", (-(-n // BLOCK), self.n_trials), *draw, self._plan, layer, keys)
        return keys

    def prune(self, rules: Sequence[AbstractPruningRule]) -> list[CudaPruned]:
        """Prune the batch by every rule."""
        return [self._prune(rule) for rule in rules]

    def _prune(self, rule: AbstractPruningRule) -> CudaPruned:
        keys = self._mask_keys if rule.is_random else self._keys
        state = self._selected(rule, keys) if rule.exact_count else self._bounded(rule)
        shapes, n = self.network.shapes, self.n_trials
        mask = self._device.empty((n, sum(mask_words(d_in, d_out) for d_out, d_in in shapes)), np.uint32)
        turned = self._device.empty((n, sum(mask_words(*shape) for shape in shapes)), np.uint32)
        counts = self._device.full((n, len(shapes)), 0, np.uint64)
        infinite = np.array(np.inf, self._dtype).view(f"int{self._bits}")
        smallest = self._device.full((n, len(shapes)), infinite, infinite.dtype)
        chunks = [-(-mask_words(d_in, d_out) // cuda_selection.CHUNK_WORDS) for d_out, d_in in shapes]
        ties = self._device.empty((n, max(chunks)), np.int32)
        tickets = self._device.full((n,), 0, np.int32)
        for layer, (d_out, d_in) in enumerate(shapes):
            at = (self._plan, layer)
            grid = (chunks[layer], n)
            self._launch_typed("count_ties", grid, *at, keys, state, ties, tickets)
            self._launch_typed("pack_mask", grid, *at, keys, state, ties, mask, counts)
            self._launch("turn_mask", (-(-d_out // 32), n, -(-d_in // 32)), *at, mask, turned)
            blocks = -(-d_out * d_in // KEYS_OF_BLOCK)
            self._launch_typed("smallest_kept", (blocks, n), *at, self.weights, mask, smallest)
        shares = tuple(rule.n_pruned(size, layer) / size for layer, size in enumerate(self.network.n_weights))
        return CudaPruned(device=self._device, mask=mask, turned=turned, counts=counts, smallest=smallest, shares=shares)

    def _selected(self, rule: AbstractPruningRule, keys: Any) -> Any:
        """Return the final state of the exact selection of every layer."""
        ranks = [rule.n_pruned(size, layer) for layer, size in enumerate(self.network.n_weights)]
        state = np.zeros((len(ranks), self.n_trials, 3), dtype=np.int64)
        for layer, rank in enumerate(ranks):
            state[layer, :, cuda_selection.QUOTA] = rank
            state[layer, :, cuda_selection.FINAL] = rank == 0
        there = self._device.upload(state)
        histogram = self._device.full((self.n_trials, cuda_selection.BINS), 0, np.int32)
        tickets = self._device.full((self.n_trials,), 0, np.int32)
        for layer, (rank, size) in enumerate(zip(ranks, self.network.n_weights, strict=True)):
            grid = (-(-size // KEYS_OF_BLOCK), self.n_trials)
            for shift, bits in digits(self._n_key_bits(rule)) if rank else ():
                self._launch_typed("radix_digit", grid, self._plan, layer, keys, shift, bits, there, histogram, tickets)
        return there

    def _n_key_bits(self, rule: AbstractPruningRule) -> int:
        if self._bits == 32:
            return 31
        return 63 if self._trained is not None and not rule.is_random else 53

    def _bounded(self, rule: AbstractPruningRule) -> Any:
        """Return the state of a rule that prunes every key below a bound."""
        bits = 31 if self._bits == 32 else 53
        state = np.zeros((self.network.depth, self.n_trials, 3), dtype=np.int64)
        for layer, size in enumerate(self.network.n_weights):
            state[layer, :, cuda_selection.LIMIT] = min(
                (rule.n_pruned(size, layer) << bits) // size, TOP_KEY[self._dtype.name]
            )
            state[layer, :, cuda_selection.FINAL] = 1
        return self._device.upload(state)

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
        self._launch_typed("copy_rows", self._flat(d * x.shape[2]), x, 0, stack, 0, d)
        return stack

    def _tiles(self, layer: int, columns: int, *, turned: bool) -> tuple[int, int, int]:
        rows = self.network.widths[layer if turned else layer + 1]
        return -(-rows // cuda_passes.TILE_ROWS), self.n_trials, -(-columns // cuda_passes.TILE_COLUMNS)

    def _clear(self, stack: Any, node: int) -> None:
        d, columns = self.network.widths[node], stack.shape[2]
        self._launch_typed("clear_rows", self._flat(d * columns), stack, self._nodes[node], d)

    def _node_norms(self, stack: Any) -> Any:
        """Return the norms of the output node, ``[n_trials, columns]``."""
        norms = self._device.empty((self.n_trials, stack.shape[2]), self._dtype)
        self._launch_typed("column_norms", self._groups(stack), stack, self._nodes[-2], self.network.widths[-1], norms)
        return norms

    def _product(self, layer: int, a: Any, z: Any, *, turned: bool = False, bias: Any = None) -> None:
        grid = self._tiles(layer, a.shape[2], turned=turned)
        bias = self._zeros if bias is None else bias
        self._launch_typed("product", grid, self._plan, layer, self.weights, turned, a, z, bias)

    @cached_property
    def _zeros(self) -> Any:
        return self._device.full((sum(self.network.widths[1:]),), 0, self._dtype)

    def forward(self, x: Any) -> Passed:
        """Run the targets."""
        h = self._input_stack(self._there(x))
        z = self._stack(h.shape[2])
        for layer in range(self.network.depth):
            self._product(layer, h, z, bias=self._bias)
            if layer < self.network.depth - 1:
                grid = self._flat(self.network.widths[layer + 1] * h.shape[2])
                self._launch_typed("activate", grid, self._plan, layer, *self._activation, z, h)
        return Passed(z=z, h=h, norms=self._node_norms(z))

    def output_norms(self, passed: Passed) -> Array:
        """Return ||F(x)||."""
        return self._device.download(passed.norms)

    def _seed(self, outputs: Any, norms: Any) -> Any:
        """Return a stack whose output node holds the outputs over their norms."""
        p = self._stack(outputs.shape[2])
        args = (outputs, self._nodes[-2], self.network.widths[-1], norms, p)
        self._launch_typed("normalise", self._groups(outputs), *args)
        return p

    def _input_node(self, stack: Any) -> Any:
        d, columns = self.network.widths[0], stack.shape[2]
        out = self._device.empty((self.n_trials, d, columns), self._dtype)
        self._launch_typed("copy_rows", self._flat(d * columns), stack, 0, out, 0, d)
        return out

    def output_gradient(self, passed: Passed) -> Any:
        """Return the gradient of ||F(x)||."""
        p = self._seed(passed.z, passed.norms)
        for layer in range(self.network.depth - 1, -1, -1):
            self._product(layer, p, p, turned=True)
            if layer:
                grid = self._flat(self.network.widths[layer] * p.shape[2])
                self._launch_typed("pull_back", grid, self._plan, layer - 1, *self._activation, passed.z, p)
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
        self._launch_typed("activate_pair", grid, self._plan, layer, *self._activation, z, dz, h, dh)

    def _deviate(self, layer: int, pruned: CudaPruned, a: Any, b: Any, dz: Any, *, turned: bool, at_rest: bool) -> None:
        """dz = W b over kept - W a over pruned entries, as a product and a correction; ``at_rest``: b is 0."""
        if at_rest:
            self._clear(dz, layer if turned else layer + 1)
        else:
            self._product(layer, b, dz, turned=turned)
        rows = self.network.widths[layer if turned else layer + 1]
        grid = (rows, self.n_trials, -(-b.shape[2] // cuda_passes.THREADS_ROW))
        mask = pruned.turned if turned else pruned.mask
        self._launch_typed("correct", grid, self._plan, layer, self.weights, mask, turned, a, b, dz)

    def gaps(self, moved: Moved) -> Array:
        """Return ||f(x) - F(x)||."""
        return self._device.download(moved.norms)

    def _advance(
        self, layer: int, pruned: CudaPruned, sources: tuple[Any, Any], sinks: tuple[Any, Any], *, turned: bool
    ) -> None:
        """Move both networks' vectors through a layer; a share of pruned entries below SPARSE_SHARE goes one by one."""
        (a, b), (z, dz) = sources, sinks
        first, last = (self.network.depth - 1, 0) if turned else (0, self.network.depth - 1)
        if pruned.shares[layer] > SPARSE_SHARE:
            grid = self._tiles(layer, a.shape[2], turned=turned)
            args = (self._plan, layer, self.weights, pruned.mask, turned, a, b, z, dz, self._bias)
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
                self._launch_typed("pull_back_pair", grid, self._plan, layer - 1, *self._activation, z, dz, q, e)
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

    @cached_property
    def _twin(self) -> HostTwin:
        return HostTwin(self._point, self._trials, self._trained, self._device.download(self.weights))

    def layer_norms(self, pruned: CudaPruned) -> LayerNorms:
        """Return certified spectral norms, proved on the host from the device's own weights and masks."""
        return self._twin.layer_norms(self._twin.pruned_by(self.masks(pruned)))

    def linear_gap(self, pruned: CudaPruned) -> Doubles:
        """Return the certified gap of a linear network, proved on the host."""
        return self._twin.linear_gap(self._twin.pruned_by(self.masks(pruned)))

    def semidefinite_gap(
        self, pruned: CudaPruned, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> Doubles:
        """Return certified gaps of the semidefinite relaxation, proved on the host."""
        return self._twin.semidefinite_gap(self._twin.pruned_by(self.masks(pruned)), norms, wanted, steps=steps)

    def exact_gap(self, pruned: CudaPruned, floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        """Return certified gaps of the branch and bound and the best inputs, found on the host."""
        return self._twin.exact_gap(self._twin.pruned_by(self.masks(pruned)), floors, tolerance=tolerance, cells=cells)

    def bias_norms(self) -> tuple[float, ...]:
        """Return upper bounds of the bias norms."""
        rows = np.cumsum(self.network.widths[1:-1])
        parts = np.split(self._device.download(self._bias).astype(np.float64), rows)
        return tuple(float(np.linalg.norm(part)) * (1.0 + 1e-9) for part in parts)

    def masks(self, pruned: CudaPruned) -> list[npt.NDArray[np.bool_]]:
        """Return the masks (True = kept), ``[n_trials, d_out, d_in]`` of each layer, on the host."""
        words, found = self._device.download(pruned.mask), []
        for layer, (d_out, d_in) in enumerate(self.network.shapes):
            first = int(self._plan_host[layer, 1])
            part = words[:, first : first + mask_words(d_in, d_out)].reshape(self.n_trials, d_out, -1)
            bits = np.unpackbits(part.astype("<u4").view(np.uint8), axis=2, bitorder="little")[:, :, :d_in]
            found.append(bits == 0)
        return found


def digits(n_bits: int) -> list[tuple[int, int]]:
    """Return the radix digits of a key from the top: (shift, width) pairs.

    >>> digits(31)
    [(20, 11), (9, 11), (0, 9)]
    """
    found, shift = [], n_bits
    while shift:
        width = min(cuda_selection.DIGIT, shift)
        shift -= width
        found.append((shift, width))
    return found
