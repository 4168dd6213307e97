"""Fully connected networks: f(x) = W_L s(W_{L-1} ... s(W_1 x + b_1) ...) + b_L, no activation after the last matrix."""

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

from simprune.model.activations import ACTIVATIONS, AbstractActivation
from simprune.model.distributions import DISTRIBUTIONS, AbstractDistribution
from simprune.model.errors import InputError
from simprune.model.registry import Registered, from_dict

MAX_WIDTH = 1 << 40
MAX_LAYER_WEIGHTS = 1 << 33


class AbstractTarget(Registered, ABC):
    """Where the weights of the target network come from."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledTarget(AbstractTarget):
    """Every trial draws fresh i.i.d. weights; no biases."""

    name: ClassVar[str] = "sampled"
    distribution: AbstractDistribution


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTarget(AbstractTarget):
    """One trained network, named by the SHA-256 of its weights; trials vary random masks and random starts only."""

    name: ClassVar[str] = "fixed"
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Widths ``(d_0, ..., d_L)``, one activation for all hidden layers, and the target's weights."""

    widths: tuple[int, ...]
    activation: AbstractActivation
    target: AbstractTarget

    def __post_init__(self) -> None:
        if len(self.widths) < 2:
            raise InputError(f"widths must name at least input and output, got {list(self.widths)}; write e.g. [64, 64, 64]")
        for width in self.widths:
            if not 1 <= width <= MAX_WIDTH:
                raise InputError(
                    f"every width must lie in 1..{MAX_WIDTH}, got width {width} in {list(self.widths)}; mend it"
                )

    def check_size(self) -> None:
        """Refuse a network that is too large to be sampled (bounds can be evaluated for it all the same)."""
        if max(self.n_weights) > MAX_LAYER_WEIGHTS:
            raise InputError(f"a layer must have at most 2^33 weights, got {max(self.n_weights)}; take smaller widths")

    @property
    def depth(self) -> int:
        """Number of weight matrices L."""
        return len(self.widths) - 1

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes ``(d_out, d_in)`` of the weight matrices, first layer first."""
        return tuple((self.widths[i + 1], self.widths[i]) for i in range(self.depth))

    @property
    def n_weights(self) -> tuple[int, ...]:
        """Number of weights D_l of each layer."""
        return tuple(d_out * d_in for d_out, d_in in self.shapes)

    @property
    def is_linear(self) -> bool:
        """Whether the network is a plain product of matrices (plus biases)."""
        return self.activation.is_linear or self.depth == 1

    @property
    def distribution(self) -> AbstractDistribution | None:
        """The weight law of a sampled target, None for a fixed one."""
        return self.target.distribution if isinstance(self.target, SampledTarget) else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; equal networks have equal forms."""
        return {
            "widths": list(self.widths),
            "activation": self.activation.to_dict(),
            "target": self.target.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "NetworkSpec":
        """Build the network that ``to_dict`` described."""
        target = data["target"]
        built: AbstractTarget
        if target["name"] == SampledTarget.name:
            built = SampledTarget(distribution=from_dict(target["distribution"], DISTRIBUTIONS, kind="distribution"))
        else:
            built = FixedTarget(sha256=target["sha256"])
        activation = from_dict(data["activation"], ACTIVATIONS, kind="activation")
        return cls(widths=tuple(data["widths"]), activation=activation, target=built)
