"""One layer with everything that is drawn and simulated for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.assumptions.exchange import exchanges
from simprune.assumptions.fit import MOST_VALUES, fits
from simprune.assumptions.layer import Layer, Sample, sampled
from simprune.assumptions.magnitudes import Magnitudes, Pruned
from simprune.assumptions.replicates import Replicates
from simprune.assumptions.signs import signs
from simprune.model.pruning import n_pruned_for_alpha

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """A layer, its prunings (most weights first), ``few`` random entries, a sample, and replicates by kind of test."""

    layer: Layer
    magnitudes: Magnitudes
    pruned: tuple[Pruned, ...]
    few: Doubles
    sample: Sample
    replicates: dict[str, Replicates]


def looked(layer: Layer, alphas: Sequence[float], *, most: int, replicates: int, address: tuple[int, int]) -> Look:
    """Draw and simulate what the tests of a layer need; ``address`` (seed, layer) names the random numbers."""
    streams = [np.random.default_rng([*address, purpose]) for purpose in range(5)]
    magnitudes = Magnitudes.of(layer.matrix)
    pruned = tuple(magnitudes.smallest(n_pruned_for_alpha(layer.n_weights, alpha)) for alpha in alphas)
    sample = sampled(layer, pruned, most=most, rng=streams[0])
    flat = layer.matrix.reshape(-1)
    few = flat[streams[1].choice(flat.size, size=min(flat.size, MOST_VALUES, most // 4), replace=False)].astype(np.float64)
    found = {
        **fits(few, replicates=replicates, rng=streams[2]),
        "signs": signs(sample.values, replicates=replicates, rng=streams[3]),
        **exchanges(sample, replicates=replicates, rng=streams[4]),
    }
    return Look(layer=layer, magnitudes=magnitudes, pruned=pruned, few=few, sample=sample, replicates=found)
