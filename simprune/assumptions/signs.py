"""Are the signs fair? The theory needs W and -W to have one law; the proof averages over independent signs."""

import numpy as np
import numpy.typing as npt

from simprune.assumptions.replicates import Replicates

Doubles = npt.NDArray[np.float64]

_CHUNK = 1 << 22


def signs(values: Doubles, *, replicates: int, rng: np.random.Generator) -> Replicates:
    """Return |sum w| / sqrt(sum w^2) of the entries, and of the same magnitudes with random signs: exact."""
    size = np.abs(values).ravel()
    rows = max(1, _CHUNK // len(size))
    sums = [abs(float(values.sum()))]
    for at in range(0, replicates, rows):
        count = min(rows, replicates - at)
        bits = np.unpackbits(rng.integers(0, 256, (count, -(-len(size) // 8)), dtype=np.uint8), axis=1, count=len(size))
        sums.extend(np.abs(2.0 * (bits @ size) - size.sum()))
    return Replicates(values=np.array([sums]) / np.sqrt(np.sum(size**2)), two_sided=False)
