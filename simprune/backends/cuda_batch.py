"""A micro-batch on a CUDA device: its targets, the masks of its rules, and what the host proves about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends import cuda_selection
from simprune.backends.base import Trials, bias_norm_bounds
from simprune.backends.cpu_pruned import TOP_KEY
from simprune.backends.cuda_device import AbstractDevice
from simprune.backends.cuda_plan import layer_plan, mask_words, node_sizes
from simprune.backends.cuda_scalars import factor_of
from simprune.backends.cuda_twin import HostTwins
from simprune.backends.elementwise import CODES
from simprune.backends.filters import row_energies, smallest_rows
from simprune.backends.sampling import LAW_CODES
from simprune.design.point import Point
from simprune.gap.base import Doubles, LayerNorms
from simprune.model.pruning import AbstractPruningRule
from simprune.rng import BLOCK, Purpose, stream
from simprune.trained.network import TrainedNetwork

# Every block empties its histogram of 2^11 bins into the common one: one block for so many keys.
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


class CudaBatch:
    """Weights, keys and masks of a micro-batch on the device; certificates are proved on the host from copies of them."""

    def __init__(self, device: AbstractDevice, point: Point, trials: Trials, trained: TrainedNetwork | None) -> None:
        self.network = point.network
        self.n_trials = len(trials)
        self._device, self._point, self._trained, self._trials = device, point, trained, trials
        self._dtype = np.dtype(point.precision)
        self._bits = self._dtype.itemsize * 8
        self._key_dtype = np.dtype(f"uint{self._bits}")
        self._sizes = node_sizes(point.network)
        self._nodes = [0, *np.cumsum(self._sizes).tolist()]
        self._plan_host = self._layers()
        self._plan = device.upload(self._plan_host)
        self._trials_there = device.upload(np.ascontiguousarray(trials))
        self._activation = (CODES[type(point.network.activation)], point.network.activation.parameter)
        n_biases = sum(rows for rows, _ in point.network.shapes)
        bias = np.zeros(n_biases) if trained is None else np.concatenate(trained.biases)
        self._bias = device.upload(bias.astype(self._dtype))
        self._copied: tuple[CudaPruned, Any] | None = None
        self.weights, self._keys = self._sample()

    def _layers(self) -> npt.NDArray[np.int64]:
        """Return where the layers lie."""
        return layer_plan(self.network.widths)

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
        mask, counts = self._whole_rows(rule) if rule.whole_rows else self._single_weights(rule)
        shapes, n = self.network.shapes, self.n_trials
        turned = self._device.empty((n, sum(mask_words(*shape) for shape in shapes)), np.uint32)
        infinite = np.array(np.inf, self._dtype).view(f"int{self._bits}")
        smallest = self._device.full((n, len(shapes)), infinite, infinite.dtype)
        for layer, (d_out, d_in) in enumerate(shapes):
            at = (self._plan, layer)
            self._launch("turn_mask", (-(-d_out // 32), n, -(-d_in // 32)), *at, mask, turned)
            blocks = -(-mask_words(d_in, d_out) // cuda_selection.CHUNK_WORDS)
            self._launch_typed("smallest_kept", (blocks, n), *at, self.weights, mask, smallest)
        shares = tuple(rule.n_pruned_of(shape, layer) / (shape[0] * shape[1]) for layer, shape in enumerate(shapes))
        return CudaPruned(device=self._device, mask=mask, turned=turned, counts=counts, smallest=smallest, shares=shares)

    def _single_weights(self, rule: AbstractPruningRule) -> tuple[Any, Any]:
        """Return masks and counts of a rule that prunes by the weights' own or random keys."""
        keys = self._mask_keys if rule.is_random else self._keys
        state = self._selected(rule, keys) if rule.exact_count else self._bounded(rule)
        shapes, n = self.network.shapes, self.n_trials
        mask = self._device.empty((n, sum(mask_words(d_in, d_out) for d_out, d_in in shapes)), np.uint32)
        counts = self._device.zeros((n, len(shapes)), np.uint64)
        chunks = [-(-mask_words(d_in, d_out) // cuda_selection.CHUNK_WORDS) for d_out, d_in in shapes]
        ties = self._device.empty((n, max(chunks)), np.int32)
        tickets = self._device.zeros((n,), np.int32)
        for layer, blocks in enumerate(chunks):
            self._launch_typed("count_ties", (blocks, n), self._plan, layer, keys, state, ties, tickets)
            self._launch_typed("pack_mask", (blocks, n), self._plan, layer, keys, state, ties, mask, counts)
        return mask, counts

    def _whole_rows(self, rule: AbstractPruningRule) -> tuple[Any, Any]:
        """Return masks and counts of a rule that prunes neurons or filters, chosen on the host by the device's weights."""
        values = self._device.download(self._mask_keys if rule.is_random else self.weights)
        masks, counts, first = [], np.empty((self.n_trials, self.network.depth), np.uint64), 0
        for layer, shape in enumerate(self.network.shapes):
            d_out, d_in = shape
            own, first = values[:, first : first + d_out * d_in], first + d_out * d_in
            scores = own[:, :d_out] if rule.is_random else row_energies(np.ascontiguousarray(own), shape)
            gone = smallest_rows(scores, rule.n_pruned(d_out, layer))
            bits = np.zeros((self.n_trials, d_out, mask_words(d_in, 1) * 32), np.uint8)
            bits[np.arange(self.n_trials)[:, None], gone, :d_in] = 1
            masks.append(np.packbits(bits, axis=2, bitorder="little").view("<u4").reshape(self.n_trials, -1))
            counts[:, layer] = gone.shape[1] * d_in
        mask = np.ascontiguousarray(np.concatenate(masks, axis=1), dtype=np.uint32)
        return self._device.upload(mask), self._device.upload(counts)

    def _selected(self, rule: AbstractPruningRule, keys: Any) -> Any:
        """Return the final state of the exact selection of every layer."""
        ranks = [rule.n_pruned(size, layer) for layer, size in enumerate(self.network.n_weights)]
        state = np.zeros((len(ranks), self.n_trials, 3), dtype=np.int64)
        for layer, rank in enumerate(ranks):
            state[layer, :, cuda_selection.QUOTA] = rank
            state[layer, :, cuda_selection.FINAL] = rank == 0
        there = self._device.upload(state)
        histogram = self._device.zeros((self.n_trials, cuda_selection.BINS), np.int32)
        tickets = self._device.zeros((self.n_trials,), np.int32)
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

    def _on_host(self, pruned: CudaPruned) -> Any:
        """Return the host's copy of the pruned entries; the last one is kept, since estimators follow one another."""
        if self._copied is None or self._copied[0] is not pruned:
            words = self._device.download(pruned.mask)
            self._copied = (pruned, self._twins.pruned_by(words, pruned.n_pruned))
        return self._copied[1]

    @cached_property
    def _twins(self) -> HostTwins:
        return HostTwins(self._point, self._trials, self._trained, self._device.download(self.weights))

    def layer_norms(self, pruned: CudaPruned) -> LayerNorms:
        """Return certified spectral norms, proved on the host from the device's own weights and masks."""
        return self._twins.layer_norms(self._on_host(pruned))

    def linear_gap(self, pruned: CudaPruned) -> Doubles:
        """Return the certified gap of a linear network, proved on the host."""
        return self._twins.linear_gap(self._on_host(pruned))

    def semidefinite_gap(
        self, pruned: CudaPruned, norms: LayerNorms, wanted: npt.NDArray[np.bool_], *, steps: int
    ) -> Doubles:
        """Return certified gaps of the semidefinite relaxation, proved on the host."""
        return self._twins.semidefinite_gap(self._on_host(pruned), norms, wanted, steps=steps)

    def exact_gap(self, pruned: CudaPruned, floors: Doubles, *, tolerance: float, cells: int) -> tuple[Doubles, Array]:
        """Return certified gaps of the branch and bound and the best inputs, found on the host."""
        return self._twins.exact_gap(self._on_host(pruned), floors, tolerance=tolerance, cells=cells)

    def bias_norms(self) -> tuple[float, ...]:
        """Return upper bounds of the bias norms."""
        if self._trained is None:
            return (0.0,) * self.network.depth
        positions = [stage.positions for stage in self.network.weighted]
        return bias_norm_bounds([bias.astype(self._dtype) for bias in self._trained.biases], positions)

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
