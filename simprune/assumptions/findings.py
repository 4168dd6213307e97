"""What is known of a layer and of a network after the tests."""

from dataclasses import dataclass

from simprune.assumptions.magnitudes import Ties
from simprune.assumptions.replicates import Test
from simprune.assumptions.steps import Step
from simprune.assumptions.tails import Tails


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Size of the entries in units of 1 / sqrt(max(d_out, d_in)), which makes them the K of the theory.

    ``uniform``: largest magnitude, K of the uniform law; ``gaussian``: root mean square, K of the Gaussian law.
    ``nearer``: the law with the smaller Kolmogorov-Smirnov distance; bounds are evaluated for it.
    """

    uniform: float
    gaussian: float
    mean: float
    nearer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """``norm``: ||W*||, from below; ``edge``: rms (sqrt(d_out) + sqrt(d_in)), the edge of the Marchenko-Pastur law.

    ``outliers``: singular values of the ``sampled`` rows and columns, about the mean of the entries, above all largest
    ones of their permutations. ``bound``: what the theory promises of ||W*|| under the nearer law, P >= 1 - delta.
    """

    norm: float
    edge: float
    outliers: int
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Magnitude pruning of the layer: ``norm`` of Delta, from below, and ``bound``, what the theory promises of it.

    ``ratio``: ||Delta|| of the ``sampled`` part over its mean with the same entries at random positions; ``low`` and
    ``high``: smallest and largest such ratio of a permutation. Null where no sampled entry is pruned.
    """

    alpha: float
    n_pruned: int
    norm: float
    bound: float
    ratio: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFindings:
    """One layer; ``shape`` as stored, ``sampled``: rows and columns that were permuted (all of a small layer)."""

    name: str
    shape: tuple[int, ...]
    n_weights: int
    sampled: tuple[int, ...]
    size: Size
    tails: Tails
    ties: Ties
    spectrum: Spectrum
    placements: tuple[Placement, ...]
    tests: tuple[Test, ...]
    failed: tuple[Step, ...]

    def test(self, kind: str) -> Test:
        """Return the test of a kind."""
        return next(test for test in self.tests if test.kind == kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Untested:
    """A layer that cannot be tested, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All layers. ``error``: chance of any false rejection among all tests, at most; ``delta``: of each bound's failure."""

    origin: str
    error: float
    delta: float
    replicates: int
    seed: int
    layers: tuple[LayerFindings, ...]
    untested: tuple[Untested, ...]
