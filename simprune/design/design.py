"""A design: points, a number of trials for each, and the trained networks that they use."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simprune.design.cluster import Cluster
from simprune.design.point import Point
from simprune.design.share import Share
from simprune.design.stopping import StoppingRule
from simprune.model.errors import InputError
from simprune.model.network import FixedTarget
from simprune.rng import canonical_json
from simprune.trained.network import TrainedNetwork

MAX_TRIALS = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A study. ``name``, ``epsilons`` and ``delta`` are labels for the analysis and change no number.

    With ``stopping`` the points get as many of the ``trials`` as they need. ``share`` restricts a run to a range of the
    trials. ``cluster`` says where workers run; like the labels it is no part of the results' identity.
    """

    cells: tuple[Point, ...]
    trials: int
    name: str = "design"
    epsilons: tuple[float, ...] = ()
    delta: float = 0.05
    networks: Mapping[str, TrainedNetwork] = field(default_factory=dict)
    text: str = ""
    stopping: StoppingRule | None = None
    cluster: Cluster = field(default_factory=Cluster)
    share: Share | None = None

    def __post_init__(self) -> None:
        if not self.cells:
            raise InputError("a design must have at least one point, got none; add a network and a rule")
        if not 1 <= self.trials <= MAX_TRIALS:
            raise InputError(f"trials must lie in 1..2^40, got {self.trials}; it is the number of trials of every point")
        if self.share is not None and self.stopping is not None:
            raise InputError(
                f"a share must be of a design without [stopping], got share {self.share}: whether a point has enough "
                "depends on its first trials, which other shares hold; remove [stopping], or run the design in one place"
            )
        digests = [point.digest() for point in self.cells]
        if len(set(digests)) < len(digests):
            raise InputError(
                f"the points of a design must differ, got {len(digests) - len(set(digests))} repeated; remove them"
            )
        for point in self.cells:
            target = point.network.target
            if isinstance(target, FixedTarget) and target.sha256 not in self.networks:
                raise InputError(
                    f"the design must hold the weights of network {target.sha256[:12]}, got none; load the file"
                )

    def points(self) -> tuple[Point, ...]:
        """Return all points, in the order of the design file."""
        return self.cells

    @property
    def wanted(self) -> tuple[int, int]:
        """The half-open range of trials that a run of this design computes for every point, at most."""
        return (0, self.trials) if self.share is None else self.share.of(self.trials)

    def shared(self, text: str) -> "Design":
        """Return the share ``text``, i/n with i from 1 to n, of this design: a fixed range of the trials of every point.

        Results of all shares, each in a folder of its own, are put together by ``simprune merge``.
        """
        return replace(self, share=Share.parse(text))

    def fingerprint(self) -> str:
        """Return the identity of the set of points: results of equal fingerprints may be continued."""
        return hashlib.sha256(canonical_json(sorted(point.digest() for point in self.cells))).hexdigest()

    def network_of(self, point: Point) -> TrainedNetwork | None:
        """Return the weights of a fixed target, None for a sampled one."""
        target = point.network.target
        return self.networks[target.sha256] if isinstance(target, FixedTarget) else None
