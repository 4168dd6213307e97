"""Masks of a trained network: those of trial 0 of a study of it with the same rule and seed."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.backends.cpu import CpuBackend
from simprune.design.point import Point
from simprune.gap.ascent import Ascent
from simprune.model.activations import AbstractActivation, ReLU
from simprune.model.errors import InputError
from simprune.model.network import NetworkSpec
from simprune.model.pruning import RULES, AbstractPruningRule
from simprune.model.registry import find
from simprune.trained.network import TrainedNetwork

Masks = tuple[npt.NDArray[np.bool_], ...]


def prune_masks(network: TrainedNetwork, rule: AbstractPruningRule, *, seed: int = 0) -> Masks:
    """Return the masks (True = kept) of a rule, shaped as the weights; random rules draw from the seed.

    They are those of trial 0 of a study with this network, rule and seed, in the precision of its weights. Weights with
    the same score go by their position, the lower flat index first.
    """
    spec = spec_of(network, None)
    kinds = {w.dtype for w in network.weights}
    precision = "float32" if kinds == {np.dtype(np.float32)} else "float64"
    point = Point(network=spec, rule=rule, estimators=(Ascent(),), seed=seed, precision=precision)
    trial = CpuBackend().rebuild(point, 0, network)
    return tuple(mask.reshape(w.shape) for mask, w in zip(trial.masks, network.weights, strict=True))


def rule_with_counts(name: str, counts: Sequence[int], network: TrainedNetwork) -> AbstractPruningRule:
    """Return the rule of a name that prunes exactly ``counts[l]`` weights of layer l.

    >>> from simprune.model.pruning import MagnitudePruning
    >>> MagnitudePruning(pruned_fraction=(2.5 / 7,)).n_pruned(7, 0)
    2
    """
    sizes = [w.size for w in network.weights]
    if len(counts) != len(sizes):
        raise InputError(
            f"counts must name one number for each of the {len(sizes)} layers, got {len(counts)}; add or remove"
        )
    for layer, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        if not 0 <= count <= size:
            raise InputError(f"the count of layer {layer} must lie in 0..{size}, its size, got {count}; mend it")
    shares = tuple(_share(count, size) for count, size in zip(counts, sizes, strict=True))
    cls: Any = find(name, RULES, kind="rule")
    return cls(pruned_fraction=shares)  # type: ignore[no-any-return]


def spec_of(network: TrainedNetwork, activation: AbstractActivation | None) -> NetworkSpec:
    """Return the network as a fixed target: with the activation given, else that of its file, else ReLU."""
    return network.spec(activation or network.activation or ReLU())


def _share(count: int, size: int) -> float:
    """Return a number whose product with ``size`` has the floor ``count``."""
    share = 1.0 if count == size else (count + 0.5) / size
    assert int(Fraction(str(share)) * size) == count
    return share
