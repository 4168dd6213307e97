"""Chains of layers whose shapes fit, and every layer at its place."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simprune.model.errors import InputError
from simprune.model.layers import MAX_WIDTH, AbstractLayer, Conv2d, Dense, Flatten, Pair, Shape, check_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A layer at its place: the shapes before and after it."""

    layer: AbstractLayer
    input: Shape
    output: Shape

    @property
    def weight_shape(self) -> Shape:
        """Shape of the kernel, () without weights."""
        return self.layer.weight_shape(self.input)

    @property
    def matrix_shape(self) -> Pair:
        """The kernel as a matrix: one row an output (a neuron or a filter), one column a weight of it."""
        rows, *rest = self.weight_shape
        return rows, math.prod(rest)

    @property
    def positions(self) -> int:
        """Number of places where a weighted layer's kernel is applied: 1 for a matrix."""
        return math.prod(self.output[1:])

    @property
    def fan(self) -> Pair:
        """Outputs and inputs of one group, each times the taps of the kernel: what the scale of weights depends on."""
        if isinstance(self.layer, Conv2d):
            taps = math.prod(self.layer.kernel)
            return self.layer.channels // self.layer.groups * taps, self.input[0] // self.layer.groups * taps
        return self.matrix_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """An input shape and layers whose shapes fit, at least one of them weighted."""

    input: Shape
    layers: tuple[AbstractLayer, ...]

    def __post_init__(self) -> None:
        if len(self.input) not in (1, 3):
            raise InputError(f"input must be [n] or [channels, height, width], got {list(self.input)}; correct it")
        for size in self.input:
            check_whole(size, "every size of the input")
        if not any(layer.is_weighted for layer in self.layers):
            raise InputError("a network must have a layer with weights, got none; add dense or conv2d")
        for stage in self.stages:
            if math.prod(stage.output) > MAX_WIDTH:
                raise InputError(f"a layer must have at most 2^40 outputs, got {list(stage.output)}; take smaller sizes")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The layers with their shapes."""
        return _stages(self.input, self.layers)

    @property
    def weighted(self) -> tuple[Stage, ...]:
        """The stages that have weights."""
        return tuple(stage for stage in self.stages if stage.layer.is_weighted)

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the input and of every weighted layer's output, before any pooling."""
        return (math.prod(self.input), *(math.prod(stage.output) for stage in self.weighted))

    @property
    def is_plain(self) -> bool:
        """Whether the chain is a fully connected network, up to the shape that its input is given in."""
        return all(isinstance(layer, Dense | Flatten) for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"input": list(self.input), "layers": [layer.to_dict() for layer in self.layers]}


@lru_cache(maxsize=1024)
def _stages(shape: Shape, layers: tuple[AbstractLayer, ...]) -> tuple[Stage, ...]:
    stages = []
    for i, layer in enumerate(layers):
        try:
            output = layer.output_shape(shape)
        except InputError as error:
            raise InputError(f"layers[{i}] on {list(shape)}: {error}") from None
        stages.append(Stage(layer=layer, input=shape, output=output))
        shape = output
    return tuple(stages)
