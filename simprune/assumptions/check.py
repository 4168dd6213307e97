"""All tests of all layers of a network."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from simprune.assumptions.exchange import KINDS
from simprune.assumptions.findings import Findings, Untested
from simprune.assumptions.fit import LAWS, STATISTICS
from simprune.assumptions.layer import as_layers, most_entries
from simprune.assumptions.look import looked
from simprune.assumptions.measure import findings
from simprune.assumptions.replicates import judged
from simprune.model.errors import InputError
from simprune.model.pruning import MagnitudePruning

Array = npt.NDArray[Any]

ALPHAS = (0.1, 0.3, 0.5)
ERROR = 0.05
DELTA = 0.05
REPLICATES = 499
LEAST_REPLICATES = math.ceil((len(LAWS) * len(STATISTICS) + 1 + len(KINDS)) / ERROR) - 1


def check_assumptions(
    weights: Mapping[str, Array],
    *,
    alphas: Sequence[float] = ALPHAS,
    seed: int = 0,
    replicates: int = REPLICATES,
    origin: str = "network",
) -> Findings:
    """Test the i.i.d. assumption on matrices ``[d_out, d_in]`` and kernels ``[c_out, c_in, kh, kw]``, by their names.

    The chance of any false rejection among all layers and tests is at most 0.05 (``replicates.py``). ``alphas`` name the
    magnitude prunings, floor(D^(1 - alpha)) weights a layer. Large layers are tested on random rows and columns.
    InputError for other shapes, entries that are not finite, or an alpha outside (0, 1).

    >>> import numpy as np
    >>> layer = np.random.default_rng(1).uniform(-1.0, 1.0, (32, 32))
    >>> [step.needs for step in check_assumptions({"W0": layer}).layers[0].failed]
    []
    >>> [step.needs for step in check_assumptions({"W0": np.sort(layer)}).layers[0].failed][0]
    'the small weights lie at random positions'
    """
    if replicates < LEAST_REPLICATES:
        raise InputError(f"replicates must be at least {LEAST_REPLICATES}, got {replicates}; fewer can reject nothing")
    if not 0 <= seed < 1 << 64:
        raise InputError(f"seed must lie in 0..2^64-1, got {seed}; it starts the simulations")
    ordered = sorted({alpha for alpha in alphas if MagnitudePruning(alpha=alpha)})
    layers = as_layers(weights)
    tested = [(i, layer) for i, layer in enumerate(layers) if not layer.untestable]
    most = most_entries(len(tested))
    looks = [looked(layer, ordered, most=most, replicates=replicates, address=(seed, i)) for i, layer in tested]
    tests = judged([look.replicates for look in looks], error=ERROR)
    pairs = zip(looks, tests, strict=True)
    return Findings(
        origin=origin,
        error=ERROR,
        delta=DELTA,
        replicates=replicates,
        seed=seed,
        layers=tuple(findings(look, found, alphas=ordered, delta=DELTA) for look, found in pairs),
        untested=tuple(Untested(name=x.name, shape=x.shape, reason=x.untestable) for x in layers if x.untestable),
    )
