"""A trained network in memory: weights, biases, layers, and the digest that names it."""

import hashlib
import json
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simprune.model.activations import AbstractActivation
from simprune.model.chain import Chain
from simprune.model.errors import InputError
from simprune.model.layers import Dense, Shape
from simprune.model.network import FixedTarget, NetworkSpec

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedNetwork:
    """Weights and biases of the weighted layers, first layer first; biases are zeros where the file has none.

    Matrices are ``[d_l, d_(l-1)]``, kernels ``[c_out, c_in / groups, kh, kw]``; biases ``[d_l]`` or ``[c_out]``. ``chain``
    holds all layers; without it the network is fully connected. ``activation`` is the file's, None where it names none.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    origin: str
    chain: Chain | None = None
    activation: AbstractActivation | None = None
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        _check(self)
        if self.chain is not None and self.chain.is_plain:
            object.__setattr__(self, "chain", None)
        object.__setattr__(self, "sha256", _digest(self))

    @property
    def layers(self) -> Chain:
        """All layers, also of a fully connected network."""
        if self.chain is not None:
            return self.chain
        return Chain(input=(self.weights[0].shape[1],), layers=tuple(Dense(width=w.shape[0]) for w in self.weights))

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes of the input and of every weighted layer's output: ``(d_0, ..., d_L)``."""
        return self.layers.widths

    @property
    def bias_norms(self) -> tuple[float, ...]:
        """Lengths of the biases, each repeated at every position of its channel, one number a weighted layer."""
        pairs = zip(self.biases, self.layers.weighted, strict=True)
        return tuple(float(np.linalg.norm(bias)) * math.sqrt(stage.positions) for bias, stage in pairs)

    def spec(self, activation: AbstractActivation | None = None) -> NetworkSpec:
        """Return the network as a fixed target; ``activation`` where the file names none, and then it must be given."""
        chosen = activation or self.activation
        if chosen is None:
            raise InputError(f"the activation of {self.origin} must be known, got none in the file; name it")
        if self.activation is not None and chosen != self.activation:
            raise InputError(
                f"the activation must be that of {self.origin}, {self.activation.to_dict()}, got {chosen.to_dict()}; "
                "leave it out"
            )
        return NetworkSpec(chain=self.layers, activation=chosen, target=FixedTarget(sha256=self.sha256))


def _check(network: TrainedNetwork) -> None:
    if not network.weights:
        raise InputError(f"{network.origin} must hold at least one layer with weights, got none; mend the file")
    if len(network.weights) != len(network.biases):
        raise InputError(
            f"{network.origin} must hold one bias a layer, got {len(network.biases)} for {len(network.weights)}; mend it"
        )
    shapes = None if network.chain is None else [stage.weight_shape for stage in network.chain.weighted]
    if shapes is not None and len(shapes) != len(network.weights):
        raise InputError(
            f"{network.origin} must hold weights of {len(shapes)} layers, got {len(network.weights)}; mend the file"
        )
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        if shapes is None:
            _check_matrix(network, i)
        else:
            _check_kernel(network, i, shapes[i])
        if bias.shape != weight.shape[:1]:
            raise InputError(
                f"b{i} of {network.origin} must have shape {weight.shape[:1]} as W{i} has rows, got {bias.shape}; "
                "mend the file"
            )
        for name, array in ((f"W{i}", weight), (f"b{i}", bias)):
            if not np.isfinite(array).all():
                bad = int(np.count_nonzero(~np.isfinite(array)))
                raise InputError(
                    f"{name} of {network.origin} must be finite, got {bad} NaN or infinite entries; mend the file"
                )


def _check_matrix(network: TrainedNetwork, i: int) -> None:
    shape, origin = network.weights[i].shape, network.origin
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"W{i} of {origin} must be a matrix [d_out, d_in], got shape {shape}; mend the file")
    if i and shape[1] != network.weights[i - 1].shape[0]:
        raise InputError(
            f"W{i} of {origin} must have {network.weights[i - 1].shape[0]} columns, the rows of W{i - 1}, "
            f"got shape {shape}; mend the file"
        )


def _check_kernel(network: TrainedNetwork, i: int, wanted: Shape) -> None:
    shape = network.weights[i].shape
    if shape != wanted:
        raise InputError(f"W{i} of {network.origin} must have shape {wanted}, as its layers say, got {shape}; mend the file")


def _digest(network: TrainedNetwork) -> str:
    digest = hashlib.sha256()
    if network.chain is not None:
        digest.update(json.dumps(network.chain.to_dict(), sort_keys=True).encode())
    for array in (*network.weights, *network.biases):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
