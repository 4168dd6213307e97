"""Traffic and arithmetic of the CUDA kernels: what an algorithm must move and compute, for rooflines.

Bytes are those of the arrays that grow with the work (weights, keys, masks, columns), as the kernels ask for them. What
all threads read alike (the plan, the state of a selection, a mask word shared by a warp) comes from the cache and is not
counted. A fused multiply-add is two flops. Tests compare all of it with what an interpreter counts.
"""

from dataclasses import dataclass

from simprune.backends.cuda_evaluation import ROWS_OF_BLOCK
from simprune.backends.cuda_plan import mask_words
from simprune.backends.cuda_products import TILE_COLUMNS, TILE_INNER, TILE_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Bytes loaded from and stored to the device's memory, and floating-point operations."""

    loaded: int = 0
    stored: int = 0
    flops: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(loaded=self.loaded + other.loaded, stored=self.stored + other.stored, flops=self.flops + other.flops)

    def seconds(self, *, bytes_per_second: float, flops_per_second: float) -> float:
        """Return the roofline: the time of the slower of traffic and arithmetic."""
        return max((self.loaded + self.stored) / bytes_per_second, self.flops / flops_per_second)


def sample(n_weights: int, n_trials: int, *, size: int) -> Cost:
    """Draw weights and keys of ``size`` bytes each: nothing is read."""
    return Cost(stored=2 * size * n_weights * n_trials)


def select_and_mask(d_out: int, d_in: int, n_trials: int, *, size: int, n_passes: int) -> Cost:
    """Find the limit in ``n_passes`` digits and write the mask: every pass and the mask read the keys once, without ties.

    >>> cost = select_and_mask(1024, 1024, 1, size=4, n_passes=3)
    >>> cost.loaded / (4 * 1024 * 1024)
    4.0
    """
    keys = size * d_out * d_in * n_trials
    return Cost(loaded=(n_passes + 1) * keys, stored=4 * mask_words(d_in, d_out) * n_trials)


def smallest_kept(d_out: int, d_in: int, n_trials: int, *, size: int) -> Cost:
    """Read the weights once."""
    return Cost(loaded=size * d_out * d_in * n_trials)


def product(d_out: int, d_in: int, n_trials: int, columns: int, *, size: int) -> Cost:
    """Multiply one panel: the weights are read once for 16 columns, the panel once for 64 rows."""
    return _tiled(d_out, d_in, n_trials, columns, size=size, panels=1, flops=2.0)


def pair_product(d_out: int, d_in: int, n_trials: int, columns: int, *, size: int) -> Cost:
    """Move target and deviation: three multiply-adds an entry and column, and one subtraction for four columns."""
    return _tiled(d_out, d_in, n_trials, columns, size=size, panels=2, flops=6.25)


def correct(d_out: int, n_pruned: int, n_trials: int, columns: int, *, size: int) -> Cost:
    """Correct pruned entries: a weight and two panel entries for each column, and the outputs read and written."""
    entries, outputs = n_pruned * columns * n_trials, d_out * columns * n_trials
    return Cost(loaded=size * (3 * entries + outputs), stored=size * outputs, flops=3 * entries)


def activate_pair(width: int, n_trials: int, columns: int, *, size: int) -> Cost:
    """Read z and dz, write h and dh."""
    entries = width * columns * n_trials
    return Cost(loaded=2 * size * entries, stored=2 * size * entries)


def evaluate_layer(d_out: int, d_in: int, n_trials: int, *, size: int) -> Cost:
    """Read the weights, and the four float64 vectors once for the eight rows of a block; twelve float64 flops an entry."""
    entries, vectors = d_out * d_in * n_trials, 4 * 8 * d_in * -(-d_out // ROWS_OF_BLOCK) * n_trials
    return Cost(loaded=size * entries + vectors, stored=4 * 8 * d_out * n_trials, flops=12 * entries)


def convolve(rows: int, terms: int, places: int, n_trials: int, *, size: int, paired: bool, groups: int = 1) -> Cost:
    """Multiply ``rows`` outputs of every group by ``terms`` each at ``places`` (positions times columns), as a product does.

    Padding is counted as if it were read. An adjoint has as many rows as channels, and filters times taps as terms.
    """
    panels, flops = (2, 6.25) if paired else (1, 2.0)
    return _tiled(rows, terms, groups * n_trials, places, size=size, panels=panels, flops=flops)


def pool(n_out: int, window: int, n_trials: int, columns: int, *, size: int) -> Cost:
    """Average target and deviation: every window is read in full."""
    entries = n_out * columns * n_trials
    return Cost(loaded=2 * size * window * entries, stored=2 * size * entries, flops=2 * (window + 1) * entries)


def evaluate_convolution(n_out: int, terms: int, n_trials: int, *, size: int, kept: float) -> Cost:
    """Read a weight, two float64 vectors and of the ``kept`` share two more, for every term of every output.

    Twelve float64 flops a term, and the four sums of the 32 lanes of a warp.
    """
    outputs = n_out * n_trials
    entries = terms * outputs
    loaded = int((size + 16 + 16 * kept) * entries)
    return Cost(loaded=loaded, stored=4 * 8 * outputs, flops=12 * entries + 4 * 31 * outputs)


def _tiled(d_out: int, d_in: int, n_trials: int, columns: int, *, size: int, panels: int, flops: float) -> Cost:
    row_tiles, column_tiles = -(-d_out // TILE_ROWS), -(-columns // TILE_COLUMNS)
    inner = -(-d_in // TILE_INNER) * TILE_INNER
    multiplied = row_tiles * TILE_ROWS * inner * column_tiles * TILE_COLUMNS
    loaded = d_out * d_in * column_tiles + panels * d_in * columns * row_tiles
    return Cost(
        loaded=size * loaded * n_trials,
        stored=size * panels * d_out * columns * n_trials,
        flops=int(flops * multiplied) * n_trials,
    )
