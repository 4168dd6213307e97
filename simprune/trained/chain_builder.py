"""Builds a trained network step by step from a sequence of layers, activations and affine maps, as graphs list them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.activations import AbstractActivation, Identity
from simprune.model.chain import Chain
from simprune.model.errors import InputError
from simprune.model.layers import AbstractAverage, AbstractLayer, Conv2d, Flatten, Shape
from simprune.trained.network import TrainedNetwork

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class ChainBuilder:
    """A network under construction; every method raises InputError for what no chain of simprune can express.

    Affine maps are folded in float64: into the weighted layer just before them, or else, past flattening and averages, into
    the next one. At convolutions and averages they must be constant over rows and columns.
    """

    shape: Shape
    layers: list[AbstractLayer] = field(default_factory=list)
    weights: list[Array] = field(default_factory=list)
    biases: list[Array] = field(default_factory=list)
    activations: list[AbstractActivation | None] = field(default_factory=list)
    input: Shape = field(init=False)
    _waiting: tuple[Doubles, Doubles] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.input = self.shape

    def weighted(self, layer: AbstractLayer, weight: Array, bias: Array | None) -> None:
        """Add a layer with weights."""
        before = self.shape
        self._append(layer)
        wanted = layer.weight_shape(before)
        if weight.shape != wanted:
            raise InputError(f"its weights must have shape {list(wanted)}, got {list(weight.shape)}")
        bias = np.zeros(weight.shape[:1], dtype=weight.dtype) if bias is None else bias
        if self._waiting is not None:
            weight, bias = self._absorbed(layer, weight, bias)
        self.weights.append(weight)
        self.biases.append(bias)
        self.activations.append(None)

    def unweighted(self, layer: AbstractLayer) -> None:
        """Add pooling or flattening."""
        if self._waiting is not None:
            if not isinstance(layer, AbstractAverage | Flatten):
                raise InputError("an affine map must not stand between an activation and max pooling")
            after = layer.output_shape(self.shape)
            flat = isinstance(layer, Flatten)
            scale, shift = (a.ravel() if flat else _spread(per_channel(a), after) for a in self._waiting)
            self._waiting = (scale, shift)
        self._append(layer)

    def activation(self, activation: AbstractActivation) -> None:
        """Add an activation; maxima and flattening between it and its weighted layer change nothing."""
        last = self._last_weighted()
        behind = self.layers[last + 1 :] if last is not None else []
        if last is None or self.activations[-1] is not None:
            raise InputError("an activation must follow a layer with weights")
        if self._waiting is not None or any(isinstance(layer, AbstractAverage) for layer in behind):
            raise InputError("an activation must follow its layer before averages and affine maps")
        self.activations[-1] = activation

    def affine(self, scale: Array | None, shift: Array | None) -> None:
        """Add x -> scale * x + shift; scale and shift have the present shape, or are left out."""
        if self.layers and self._last_weighted() == len(self.layers) - 1 and self.activations[-1] is None:
            self._fold_back(scale, shift)
            return
        ones, zeros = np.ones(self.shape), np.zeros(self.shape)
        old_scale, old_shift = self._waiting or (ones, zeros)
        scale = ones if scale is None else scale
        self._waiting = (old_scale * scale, old_shift * scale + (0.0 if shift is None else shift))

    def reshape_input(self, shape: Shape) -> None:
        """Take the input, a vector so far, as an image: possible before the first layer only."""
        if self.layers or self._waiting is not None or np.prod(shape) != np.prod(self.shape):
            raise InputError(f"a vector may be reshaped to an image at the input only, got {list(shape)}")
        self.shape = self.input = shape

    def network(self, *, origin: str) -> TrainedNetwork:
        """Return the network."""
        if not self.weights:
            raise InputError(f"{origin} must hold at least one layer with weights, got none; export the trained part")
        if self._waiting is not None:
            raise InputError(f"{origin} must not end with an affine map behind an activation; leave it out")
        if self.activations[-1] is not None:
            raise InputError(
                f"{origin} must end with the outputs of its last weighted layer, got {self.activations[-1].name} behind it; "
                "export the network without its last activation"
            )
        hidden = self.activations[:-1]
        if any(a != hidden[0] for a in hidden):
            names = [a.name if a else "none" for a in hidden]
            raise InputError(f"{origin} must have the same activation after every weighted layer but the last, got {names}")
        activation = hidden[0] if hidden else None
        return TrainedNetwork(
            weights=tuple(self.weights),
            biases=tuple(self.biases),
            origin=origin,
            chain=Chain(input=self.input, layers=tuple(self.layers)),
            activation=activation or Identity(),
        )

    def _append(self, layer: AbstractLayer) -> None:
        self.shape = layer.output_shape(self.shape)
        self.layers.append(layer)

    def _last_weighted(self) -> int | None:
        places = [i for i, layer in enumerate(self.layers) if layer.is_weighted]
        return places[-1] if places else None

    def _fold_back(self, scale: Array | None, shift: Array | None) -> None:
        weight, bias = self.weights[-1], self.biases[-1]
        if scale is not None and not np.all(scale == 1.0):
            own = per_channel(scale).astype(np.float64)
            weight = weight * own.reshape(-1, *(1,) * (weight.ndim - 1))
            bias = bias * own
        if shift is not None:
            own = per_channel(shift)
            bias = own.copy() if not bias.any() else bias.astype(np.float64) + own
        self.weights[-1], self.biases[-1] = weight, bias

    def _absorbed(self, layer: AbstractLayer, weight: Array, bias: Array) -> tuple[Array, Array]:
        assert self._waiting is not None
        scale, shift = self._waiting
        if isinstance(layer, Conv2d):
            if any(layer.padding) or layer.groups > 1:
                raise InputError("an affine map must not stand before a convolution with padding or groups")
            scale, shift = (per_channel(a).reshape(1, -1, 1, 1) for a in (scale, shift))
        self._waiting = None
        moved = weight.astype(np.float64) * shift
        return weight * scale, bias.astype(np.float64) + moved.reshape(len(weight), -1).sum(axis=1)


def per_channel(values: Array) -> Array:
    """Return one value a channel (or entry of a vector); InputError if they vary over rows and columns."""
    rows = values.reshape(values.shape[0], -1)
    if np.any(rows != rows[:, :1]):
        raise InputError("an affine map must be constant over rows and columns here")
    return np.ascontiguousarray(rows[:, 0])


def _spread(values: Array, shape: Shape) -> Doubles:
    return np.broadcast_to(values[:, None, None], shape).astype(np.float64)
