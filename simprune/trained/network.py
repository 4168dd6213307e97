"""A trained network in memory: weights, biases, and the digest that names it."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError

Array = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedNetwork:
    """Weights ``[d_l, d_(l-1)]`` and biases ``[d_l]`` (zeros where the file has none), first layer first."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    origin: str
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        _check(self)
        object.__setattr__(self, "sha256", _digest(self))

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths ``(d_0, ..., d_L)``."""
        return (self.weights[0].shape[1], *(w.shape[0] for w in self.weights))


def _check(network: TrainedNetwork) -> None:
    origin = network.origin
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        if weight.ndim != 2 or min(weight.shape) < 1:
            raise InputError(f"W{i} of {origin} must be a matrix [d_out, d_in], got shape {weight.shape}; mend the file")
        if bias.shape != weight.shape[:1]:
            raise InputError(
                f"b{i} of {origin} must have shape {weight.shape[:1]} as W{i} has rows, got {bias.shape}; mend the file"
            )
        if i and weight.shape[1] != network.weights[i - 1].shape[0]:
            raise InputError(
                f"W{i} of {origin} must have {network.weights[i - 1].shape[0]} columns, the rows of W{i - 1}, "
                f"got shape {weight.shape}; mend the file"
            )
        for name, array in ((f"W{i}", weight), (f"b{i}", bias)):
            if not np.isfinite(array).all():
                bad = int(np.count_nonzero(~np.isfinite(array)))
                raise InputError(f"{name} of {origin} must be finite, got {bad} NaN or infinite entries; mend the file")


def _digest(network: TrainedNetwork) -> str:
    digest = hashlib.sha256()
    for array in (*network.weights, *network.biases):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
