"""A statistic beside its simulated null, p-values that are exact at any sample size, and their correction.

The observed value and R simulated ones are exchangeable if the null holds, so P(p <= a) <= a with p = (1 + number of
simulated scores at least as large) / (R + 1). Scores are distances from the mean in standard deviations, both taken over
all R + 1 values, which keeps them exchangeable.

Correction: over the layers of one kind of test the largest score of every replicate is the null of all layers at once
(Westfall and Young, "Resampling-Based Multiple Testing", 1993: single-step maxT; layers are simulated independently, so
the null of some layers does not depend on the others); over kinds, Bonferroni. The chance of any false alarm among all
layers and kinds is at most the error, and R need not grow with the number of layers, as plain Holm would ask.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_CONSTANT = 1e-4
"""A spread below this share of the mean is rounding: the statistic does not depend on what is tested."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replicates:
    """``values`` ``[n_variants, 1 + R]``: column 0 observed, the others simulated under the null.

    ``two_sided``: small values speak against the null as well. Several variants count as one test, their largest score.
    """

    values: Doubles
    two_sided: bool

    @property
    def away(self) -> Doubles:
        """How far each value lies from what is expected, in standard deviations, ``[n_variants, 1 + R]``."""
        mean = self.values.mean(axis=1, keepdims=True)
        spread = np.maximum(self.values.std(axis=1, keepdims=True), _CONSTANT * np.abs(mean))
        away = (self.values - mean) / np.where(spread > 0.0, spread, 1.0)
        return np.abs(away) if self.two_sided else np.asarray(away)


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test of one layer: ``p_value`` alone, ``adjusted`` over all layers and kinds.

    ``observed`` value of the statistic, and its mean ``expected`` under the null; of many variants the farthest away.
    """

    kind: str
    observed: float
    expected: float
    p_value: float
    adjusted: float
    rejected: bool

    @property
    def ratio(self) -> float:
        """Observed over expected."""
        return self.observed / self.expected if self.expected else float("inf")


def judged(layers: Sequence[Mapping[str, Replicates]], *, error: float) -> tuple[dict[str, Test], ...]:
    """Return the tests of every layer by kind, from its replicates by kind, at family-wise false-alarm rate ``error``."""
    kinds = list(dict.fromkeys(kind for layer in layers for kind in layer))
    found: list[dict[str, Test]] = [{} for _ in layers]
    for kind in kinds:
        away = {i: layer[kind].away for i, layer in enumerate(layers) if kind in layer}
        largest = np.max([np.max(part, axis=0) for part in away.values()], axis=0)
        for i, part in away.items():
            score, values = np.max(part, axis=0), layers[i][kind].values[np.argmax(part[:, 0])]
            adjusted = min(1.0, len(kinds) * float(np.mean(largest >= score[0])))
            found[i][kind] = Test(
                kind=kind,
                observed=float(values[0]),
                expected=float(values[1:].mean()),
                p_value=float(np.mean(score >= score[0])),
                adjusted=adjusted,
                rejected=adjusted <= error,
            )
    return tuple(found)
