"""Two explicit networks of one architecture, in float64, with their exact differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.activations import AbstractActivation
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.trained.network import TrainedNetwork

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Weights or biases of all layers: of the target, of the pruned network, and pruned - target = moves + rest exactly."""

    target: tuple[Doubles, ...]
    pruned: tuple[Doubles, ...]
    moves: tuple[Doubles, ...]
    rest: tuple[Doubles, ...]

    @classmethod
    def of(cls, target: Sequence[npt.NDArray[Any]], pruned: Sequence[npt.NDArray[Any]]) -> "Parts":
        """Split the differences into their rounded values and exact rounding errors (Knuth's two-sum)."""
        before = tuple(np.ascontiguousarray(a, dtype=np.float64) for a in target)
        after = tuple(np.ascontiguousarray(a, dtype=np.float64) for a in pruned)
        moves, rest = [], []
        for old, new in zip(before, after, strict=True):
            move = new - old
            back = move - new
            moves.append(move)
            rest.append((new - (move - back)) + (-old - back))
        return cls(target=before, pruned=after, moves=tuple(moves), rest=tuple(rest))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplicitPair:
    """A target and any network of the same architecture, called pruned: its weights and biases may differ anyhow."""

    network: NetworkSpec
    weights: Parts
    biases: Parts

    @classmethod
    def of(
        cls, target: TrainedNetwork, pruned: TrainedNetwork, *, activation: AbstractActivation | None = None
    ) -> "ExplicitPair":
        """Pair two networks; InputError where layers or activations differ.

        ``activation`` is needed where neither file names one.
        """
        spec = target.spec(activation or target.activation or pruned.activation)
        other = pruned.spec(spec.activation)
        if (spec.widths, spec.chain) != (other.widths, other.chain):
            raise InputError(
                f"{pruned.origin} must have the layers of {target.origin}, widths {list(spec.widths)}, got "
                f"{list(other.widths)} or other layers between; only networks of the same architecture are compared"
            )
        return cls(
            network=spec,
            weights=Parts.of(target.weights, pruned.weights),
            biases=Parts.of(target.biases, pruned.biases),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ball:
    """The inputs within ``radius`` of ``center`` (flat, float64), in the Euclidean norm."""

    center: Doubles
    radius: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.radius < np.inf:
            raise InputError(f"radius must be finite and at least 0, got {self.radius}; 1 is the unit ball")
        if self.center.ndim != 1 or not np.isfinite(self.center).all():
            raise InputError(f"center must be one finite input, got shape {self.center.shape}; mend it")

    def point(self, direction: Doubles) -> Doubles:
        """Return a float64 input near center + radius * direction that surely lies in the ball."""
        x = self.center + self.radius * direction
        for _ in range(8 if self.radius else 0):
            away = (x - self.center) / self.radius
            length = float(np.linalg.norm(away)) * (1.0 + (len(x) + 8) * 2.0**-52)
            if length <= 1.0:
                return x
            x = self.center + self.radius * (away / (length * (1.0 + 2.0**-40)))
        return self.center.copy()
