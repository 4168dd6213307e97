"""The table of all CUDA kernels: what is compiled, checked without a device, interpreted, launched and timed.

Kernels stay undecorated. Those on floats and keys exist for float32 (31-bit keys, names ending in 32) and float64 (53- or
63-bit keys, names ending in 64). ``registers`` is the most that a thread may use on each of ``ARCHITECTURES``
(``cuda_budgets``), ``shared`` the most bytes of shared memory of a block; spills and stack are not allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from simprune.backends import cuda_columns as columns
from simprune.backends import cuda_conv as conv
from simprune.backends import cuda_conv_evaluation as conv_evaluation
from simprune.backends import cuda_evaluation as evaluation
from simprune.backends import cuda_passes as passes
from simprune.backends import cuda_pooling as pooling
from simprune.backends import cuda_products as products
from simprune.backends import cuda_sampling as sampling
from simprune.backends import cuda_selection as selection
from simprune.backends.cuda_budgets import REGISTERS

ARCHITECTURES = ((7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0))
Signature = tuple[Any, ...]
WORD, INDEX, FLAG = types.uint32, types.int64, types.boolean


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An undecorated kernel, its argument types, its threads a block, and its budgets."""

    name: str
    function: Callable[..., Any]
    signature: Signature
    threads: int
    shared: int = 0

    @property
    def registers(self) -> dict[tuple[int, int], int]:
        """Most registers of a thread, by compute capability."""
        return dict(zip(ARCHITECTURES, REGISTERS[self.name], strict=True))

    @property
    def is_float32(self) -> bool:
        """Whether no float64 operation may occur."""
        return self.name.endswith("32")

    @property
    def is_integer(self) -> bool:
        """Whether no float operation may occur at all."""
        selects = self.function.__module__ == selection.__name__ and not self.name.startswith("smallest_kept")
        return selects or self.name.startswith("mask_keys")


def _array(scalar: Any, n_dimensions: int) -> Any:
    return types.Array(scalar, n_dimensions, "C")


_PLAN, _TRIALS = _array(types.int64, 2), _array(types.int64, 1)
_STATE, _TICKETS = _array(types.int64, 3), _array(types.int32, 1)
_TABLE, _MASK = _array(types.int32, 2), _array(WORD, 2)
_COUNTS = _array(types.uint64, 2)


def _kernels(real: Any, key: Any, signed: Any, stream: Any) -> list[Kernel]:
    """Return the kernels of one precision; ``stream`` is the type of one or of two packed streams."""
    bits = str(key.bitwidth)
    own = {"32": 0, "64": 1}[bits]
    size = key.bitwidth // 8
    flat, keys, panel, rows, vector = _array(real, 2), _array(key, 2), _array(real, 3), _array(real, 2), _array(real, 1)
    at = (_PLAN, INDEX)
    window = (_TRIALS, INDEX, INDEX, INDEX)
    draw = (WORD, WORD, stream, _TRIALS)
    function = {name: (getattr(passes, name + "32"), getattr(passes, name + "64"))[own] for name in _SMOOTH}
    tile = products.TILE_INNER * (products.PITCH + products.TILE_COLUMNS) * size
    spots = columns.LANES * columns.GROUP * size

    def kernel(name: str, body: Callable[..., Any], signature: Signature, threads: int, shared: int) -> Kernel:
        return Kernel(name=name + bits, function=body, signature=signature, threads=threads, shared=shared)

    sample, mask_keys, normals = (
        (sampling.sample32, sampling.sample64)[own],
        (sampling.mask_keys32, sampling.mask_keys64)[own],
        (sampling.normals32, sampling.normals64)[own],
    )
    return [
        kernel("sample", sample, (*draw, INDEX, real, *at, flat, keys), 256, 0),
        kernel("mask_keys", mask_keys, (*draw, *at, keys), 256, 0),
        kernel("normals", normals, (WORD, WORD, WORD, _TRIALS, INDEX, panel), 256, 0),
        kernel(
            "radix_digit",
            selection.radix_digit,
            (*at, keys, INDEX, INDEX, _STATE, _TABLE, _TICKETS),
            selection.THREADS,
            12288,
        ),
        kernel("count_ties", selection.count_ties, (*at, keys, _STATE, _TABLE, _TICKETS), selection.THREADS, 4096),
        kernel("pack_mask", selection.pack_mask, (*at, keys, _STATE, _TABLE, _MASK, _COUNTS), selection.THREADS, 2048),
        kernel("smallest_kept", selection.smallest_kept, (*at, flat, _MASK, _array(signed, 2)), selection.THREADS, 4096),
        kernel(
            "pair_product",
            products.pair_product,
            (*at, flat, _MASK, FLAG, panel, panel, panel, panel, vector),
            products.THREADS,
            2 * tile + products.TILE_ROWS * 4 + 1024,
        ),
        kernel("product", products.product, (*at, flat, FLAG, panel, panel, vector), products.THREADS, tile + 1024),
        kernel("correct", products.correct, (*at, flat, _MASK, FLAG, INDEX, *(rows,) * 3), products.THREADS_SPARSE, 0),
        kernel(
            "convolve",
            conv.convolve,
            (*at, flat, _MASK, INDEX, panel, panel, panel, panel, vector),
            products.THREADS,
            2 * tile + products.TILE_ROWS * 4 + 1024,
        ),
        kernel("pool", pooling.pool, (*window, FLAG, panel, panel), 256, 0),
        kernel("pull_pool", pooling.pull_pool, (*window, FLAG, panel, panel, panel, panel), 256, 0),
        kernel("activate", function["activate"], (*at, INDEX, real, INDEX, rows, rows), 256, 0),
        kernel("activate_pair", function["activate_pair"], (*at, INDEX, real, INDEX, *(rows,) * 4), 256, 0),
        kernel("pull_back", function["pull_back"], (*at, INDEX, real, INDEX, rows, rows), 256, 0),
        kernel("pull_back_pair", function["pull_back_pair"], (*at, INDEX, real, INDEX, *(rows,) * 4), 256, 0),
        kernel("column_norms", columns.column_norms, (panel, INDEX, INDEX, rows), columns.THREADS, spots + 1024),
        kernel("normalise", columns.normalise, (panel, INDEX, INDEX, rows, panel), columns.THREADS, 0),
        kernel("to_sphere", columns.to_sphere, (panel, INDEX), columns.THREADS, spots + 1024),
        kernel("move", columns.move, (panel, panel, rows, panel), columns.THREADS, spots + 1024),
        kernel("choose", columns.choose, (_array(types.uint8, 2), panel, panel, panel), columns.THREADS_FLAT, 0),
        kernel("take", columns.take, (panel, _TRIALS, rows), columns.THREADS_FLAT, 0),
        kernel("put_origin", columns.put_origin, (panel,), columns.THREADS_FLAT, 0),
        kernel("copy_rows", columns.copy_rows, (rows, INDEX, rows, INDEX, INDEX), columns.THREADS_FLAT, 0),
        kernel("clear_rows", columns.clear_rows, (rows, INDEX, INDEX), columns.THREADS_FLAT, 0),
    ]


_SMOOTH = ("activate", "activate_pair", "pull_back", "pull_back_pair")


def _shared_kernels() -> list[Kernel]:
    """Return what exists once: the transposed mask, and the float64 evaluation of weights of either precision."""
    state, constants = _array(types.float64, 3), (types.float64,) * 4
    single, double = _array(types.float32, 2), _array(types.float64, 2)
    layer = (_PLAN, INDEX)
    turn, convolution, threads = selection.turn_mask, conv_evaluation.evaluate_convolution, evaluation.THREADS
    biased = [(flat, _MASK, _array(flat.dtype, 1), state) for flat in (single, double)]
    found: list[tuple[str, Any, Signature, int, int]] = [
        ("turn_mask", turn, (*layer, _MASK, _MASK), 32, 0),
        ("evaluate_start", evaluation.evaluate_start, (double, state), threads, 4096),
        ("evaluate_layer_of_singles", evaluation.evaluate_layer, (*layer, *biased[0]), threads, 10240),
        ("evaluate_layer_of_doubles", evaluation.evaluate_layer, (*layer, *biased[1]), threads, 10240),
        ("evaluate_convolution_of_singles", convolution, (*layer, *biased[0]), threads, 10240),
        ("evaluate_convolution_of_doubles", convolution, (*layer, *biased[1]), threads, 10240),
        ("evaluate_pool", conv_evaluation.evaluate_pool, (_TRIALS, INDEX, state), threads, 0),
        ("evaluate_activation", evaluation.evaluate_activation, (INDEX, *constants, INDEX, state), threads, 0),
        ("evaluate_norm", evaluation.evaluate_norm, (INDEX, state, double), threads, 6144),
    ]
    return [Kernel(name=name, function=body, signature=s, threads=n, shared=shared) for name, body, s, n, shared in found]


KERNELS = {
    kernel.name: kernel
    for kernel in (
        *_kernels(types.float32, types.uint32, types.int32, types.uint32),
        *_kernels(types.float64, types.uint64, types.int64, types.uint64),
        *_shared_kernels(),
    )
}
