"""A point: everything that determines the numbers of its trials, and nothing else."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simprune.gap.ascent import Ascent
from simprune.gap.base import AbstractGapEstimator
from simprune.gap.exact import Exact
from simprune.gap.sampled import Sampled
from simprune.gap.semidefinite import Semidefinite
from simprune.gap.spectral import Spectral
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import RULES, AbstractPruningRule
from simprune.model.registry import from_dict
from simprune.rng import SCHEME, canonical_json, network_key

TRIAL_VERSION = 1
PRECISIONS = ("float32", "float64")
ESTIMATORS: tuple[type[AbstractGapEstimator], ...] = (Sampled, Ascent, Exact, Spectral, Semidefinite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One cell of a study: network, rule, estimators (kept sorted by name), seed and precision."""

    network: NetworkSpec
    rule: AbstractPruningRule
    estimators: tuple[AbstractGapEstimator, ...]
    seed: int
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 63:
            raise InputError(f"seed must lie in 0..2^63-1, got {self.seed}; take another")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision must be one of {PRECISIONS}, got '{self.precision}'; take float32 or float64")
        if all(e.side == "upper" for e in self.estimators):
            raise InputError("estimators must contain a lower one, got none; add ascent or sampled")
        names = [e.name for e in self.estimators]
        if len(set(names)) < len(names):
            raise InputError(f"each estimator must appear once, got {names}; remove the repeated one")
        self.network.check_size()
        self.rule.check_depth(self.network.depth)
        for estimator in self.estimators:
            estimator.check(self.network)
        object.__setattr__(self, "estimators", tuple(sorted(self.estimators, key=lambda e: e.name)))

    @property
    def key(self) -> tuple[int, int]:
        """Philox key of the point's targets, shared by all points on the same network and seed."""
        return _key(self.seed, self.network)

    @property
    def n_pruned(self) -> tuple[int, ...]:
        """Number of pruned weights of each layer (for the bernoulli rule: the expected number)."""
        return tuple(self.rule.n_pruned_of(shape, layer) for layer, shape in enumerate(self.network.shapes))

    @property
    def keeps_witness(self) -> bool:
        """Whether the rows hold the input that attains gap_lower."""
        return any(isinstance(e, Ascent) and e.keep_witness for e in self.estimators)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that the digest is made of."""
        return {
            "network": self.network.to_dict(),
            "rule": self.rule.to_dict(),
            "estimators": [e.to_dict() for e in self.estimators],
            "seed": self.seed,
            "precision": self.precision,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Point":
        """Build the point that ``to_dict`` described."""
        return cls(
            network=NetworkSpec.from_dict(data["network"]),
            rule=from_dict(data["rule"], RULES, kind="rule"),
            estimators=tuple(from_dict(e, ESTIMATORS, kind="estimator") for e in data["estimators"]),
            seed=data["seed"],
            precision=data["precision"],
        )

    def digest(self) -> str:
        """Return the SHA-256 of the point, the RNG scheme and the trial version: the identity of its trials."""
        identity = self.to_dict() | {"scheme": SCHEME, "trial_version": TRIAL_VERSION}
        return hashlib.sha256(canonical_json(identity)).hexdigest()


@lru_cache(maxsize=1024)
def _key(seed: int, network: NetworkSpec) -> tuple[int, int]:
    return network_key(seed, network.to_dict())
