"""Networks: f(x) = W_L s(W_{L-1} ... s(W_1 x + b_1) ...) + b_L, no activation after the last weighted layer.

W_l is a matrix or a convolution; pooling and flattening stand between, before or after them, behind the activation.
"""

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

from simprune.model.activations import ACTIVATIONS, AbstractActivation
from simprune.model.chain import Chain, Stage
from simprune.model.distributions import DISTRIBUTIONS, AbstractDistribution
from simprune.model.errors import InputError
from simprune.model.layers import LAYERS, MAX_WIDTH, AbstractMaximum, Dense, Shape
from simprune.model.registry import Registered, from_dict

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
    """Widths ``(d_0, ..., d_L)`` or a ``chain`` of layers, one activation for all hidden layers, and the target's weights.

    The activation follows every weighted layer but the last. With a chain, ``widths`` are the sizes of the input and of
    every weighted layer's output. A chain of dense layers alone is the same network as its widths, and ``chain`` is None.
    """

    widths: tuple[int, ...] = ()
    activation: AbstractActivation
    target: AbstractTarget
    chain: Chain | None = None

    def __post_init__(self) -> None:
        if self.chain is not None:
            if self.widths not in ((), self.chain.widths):
                raise InputError(
                    f"widths must be {self.chain.widths}, those of the chain, got {self.widths}; leave them out"
                )
            object.__setattr__(self, "widths", self.chain.widths)
            if self.chain.is_plain:
                object.__setattr__(self, "chain", None)
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
        """Number of weighted layers L."""
        return len(self.widths) - 1

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All layers with their shapes."""
        if self.chain is not None:
            return self.chain.stages
        return Chain(input=self.widths[:1], layers=tuple(Dense(width=width) for width in self.widths[1:])).stages

    @property
    def weighted(self) -> tuple[Stage, ...]:
        """The layers that have weights, first layer first."""
        return tuple(stage for stage in self.stages if stage.layer.is_weighted)

    @property
    def input_shape(self) -> Shape:
        """Shape of one input: ``(d_0,)``, or ``(channels, height, width)``."""
        return self.widths[:1] if self.chain is None else self.chain.input

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes ``(d_out, d_in)`` of the weight matrices; a kernel as ``(c_out, c_in / groups * kh * kw)``."""
        if self.chain is None:
            return tuple((self.widths[i + 1], self.widths[i]) for i in range(self.depth))
        return tuple(stage.matrix_shape for stage in self.weighted)

    @property
    def channels(self) -> tuple[int, ...]:
        """The widths as one counts them: of images the channels, of vectors the numbers."""
        return (self.input_shape[0], *(rows for rows, _ in self.shapes))

    @property
    def weight_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the weights: ``(d_out, d_in)`` of a matrix, ``(c_out, c_in / groups, kh, kw)`` of a kernel."""
        return self.shapes if self.chain is None else tuple(stage.weight_shape for stage in self.weighted)

    @property
    def bias_shapes(self) -> tuple[Shape, ...]:
        """Shapes of the biases: one number an output of a matrix, one a channel."""
        return tuple(shape[:1] for shape in self.shapes)

    @property
    def n_weights(self) -> tuple[int, ...]:
        """Number of weights D_l of each layer."""
        return tuple(d_out * d_in for d_out, d_in in self.shapes)

    @property
    def scales(self) -> tuple[float, ...]:
        """Scale of the weights of each layer of a sampled target: K / sqrt(max(d_out, d_in)).

        For a convolution K / sqrt(max(c_out, c_in) / groups * kh * kw), which keeps its norm near that of a matrix.
        """
        law = self.distribution
        if law is None:
            raise InputError("scales need a weight law, got a fixed target; its weights are in its file")
        if self.chain is None:
            return tuple(law.scale(*shape) for shape in self.shapes)
        return tuple(law.scale(*stage.fan) for stage in self.weighted)

    @property
    def pool_factors(self) -> tuple[float, ...]:
        """Lipschitz constants of what stands before the first weighted layer and behind each one, ``depth + 1`` of them."""
        factors = [1.0]
        for stage in self.stages if self.chain is not None else self.weighted:
            if stage.layer.is_weighted:
                factors.append(1.0)
            else:
                factors[-1] *= stage.layer.lipschitz(stage.input)
        return tuple(factors)

    @property
    def is_linear(self) -> bool:
        """Whether the network is a product of linear maps (plus biases)."""
        maxima = self.chain is not None and any(isinstance(layer, AbstractMaximum) for layer in self.chain.layers)
        return (self.activation.is_linear or self.depth == 1) and not maxima

    @property
    def distribution(self) -> AbstractDistribution | None:
        """The weight law of a sampled target, None for a fixed one."""
        return self.target.distribution if isinstance(self.target, SampledTarget) else None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; equal networks have equal forms."""
        described = {"widths": list(self.widths)} if self.chain is None else self.chain.to_dict()
        return described | {
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
        if "widths" in data:
            return cls(widths=tuple(data["widths"]), activation=activation, target=built)
        layers = tuple(from_dict(layer, LAYERS, kind="layer") for layer in data["layers"])
        return cls(chain=Chain(input=tuple(data["input"]), layers=layers), activation=activation, target=built)
