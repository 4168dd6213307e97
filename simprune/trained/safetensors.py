"""Networks in safetensors files: matrices ``NAME.weight`` with biases ``NAME.bias``, in the natural order of their names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.layer_text import layer_text, parse_layer_text
from simprune.trained.masks import check_mask
from simprune.trained.network import TrainedNetwork
from simprune.trained.safetensors_file import SafetensorsFile, natural_key, open_safetensors, write_tensors

Array = npt.NDArray[Any]
LAYERS_KEY = "simprune_layers"
MASK_ENDING = "_mask"


def read_safetensors(path: str | Path, *, names: Sequence[str] | None = None) -> TrainedNetwork:
    """Return the network of a file: its matrices ``NAME.weight`` in natural order of their names, with ``NAME.bias``.

    ``names`` gives the weight tensors in the order of the layers instead. Kernels need the text ``simprune_layers`` in the
    metadata (see ``layer_text``), because the format knows no strides and paddings. Masks, if any, are checked.
    """
    file = open_safetensors(path)
    chosen = list(names) if names is not None else weight_names(file)
    weights = tuple(_weight(file, name) for name in chosen)
    biases = tuple(_bias(file, name, w) for name, w in zip(chosen, weights, strict=True))
    for name, weight in zip(chosen, weights, strict=True):
        check_mask(weight, _mask(file, name), name=name, origin=file.path)
    chain, activation = None, None
    if LAYERS_KEY in file.metadata:
        chain, activation = parse_layer_text(file.metadata[LAYERS_KEY], origin=str(path))
    elif any(w.ndim != 2 for w in weights):
        first = next(name for name, w in zip(chosen, weights, strict=True) if w.ndim != 2)
        raise InputError(
            f"{path} must say how its kernels are used (strides, padding, pooling), got '{first}' without "
            f"'{LAYERS_KEY}' in the metadata; export ONNX, or write the file with simprune.write_network"
        )
    _check_order(chosen, weights, path, plain=chain is None)
    return TrainedNetwork(weights=weights, biases=biases, origin=str(path), chain=chain, activation=activation)


def weight_names(file: SafetensorsFile) -> list[str]:
    """Return the names of a network's weight tensors in natural order: fc2 before fc10.

    Tensors with one axis that belong to a weight (its bias) and masks are passed over; anything else is an InputError.
    """
    found = sorted((n for n in file.entries if _is_weight(file, n)), key=natural_key)
    if not found:
        raise InputError(f"{file.path} must hold weights (tensors with 2 or 4 axes of floats), got none; name another file")
    expected = {part for name in found for part in (name, _bias_name(name), name + MASK_ENDING)}
    others = sorted(set(file.entries) - expected)
    if others:
        raise InputError(
            f"{file.path} must hold weights and their biases only to be run as a network, got '{others[0]}'; its weights "
            "can be tested by simprune assumptions, or name the weights in order: read_safetensors(path, names=[...])"
        )
    return found


def write_safetensors(
    path: str | Path, network: TrainedNetwork, *, masks: Sequence[npt.NDArray[np.bool_]] | None = None
) -> None:
    """Write a network as ``0.weight``, ``0.bias``, ``1.weight``, ..., with ``N.weight_mask`` (True = kept) if given."""
    tensors: dict[str, Array] = {}
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        tensors |= {f"{i}.weight": weight, f"{i}.bias": bias}
        if masks is not None:
            tensors[f"{i}.weight{MASK_ENDING}"] = masks[i]
    text = layer_text(network)
    write_tensors(path, tensors, {} if text is None else {LAYERS_KEY: text})


def prune_safetensors(
    source: str | Path, out: str | Path, masks: Sequence[npt.NDArray[np.bool_]], *, names: Sequence[str] | None = None
) -> None:
    """Write ``source`` again with pruned entries 0 and the masks (True = kept) as ``NAME.weight_mask``."""
    file = open_safetensors(source)
    tensors = {name: file.stored(name) for name in file.entries}
    types = {name: entry.type for name, entry in file.entries.items()}
    for name, mask in zip(names if names is not None else weight_names(file), masks, strict=True):
        tensors[name] = np.where(mask, tensors[name], tensors[name].dtype.type(0))
        tensors[name + MASK_ENDING], types[name + MASK_ENDING] = mask, "BOOL"
    write_tensors(out, tensors, file.metadata, types=types)


def _is_weight(file: SafetensorsFile, name: str) -> bool:
    return file.is_float(name) and len(file.entries[name].shape) in (2, 4)


def _bias_name(name: str) -> str:
    return name.removesuffix("weight") + "bias" if name.endswith("weight") else f"{name}.bias"


def _weight(file: SafetensorsFile, name: str) -> Array:
    if name not in file.entries or not _is_weight(file, name):
        weights = [n for n in file.entries if _is_weight(file, n)]
        raise InputError(
            f"'{name}' must be a weight tensor of {file.path}, got no such one; it holds {', '.join(weights[:8]) or 'none'}"
        )
    return file.floats(name)


def _bias(file: SafetensorsFile, name: str, weight: Array) -> Array:
    bias = _bias_name(name)
    if bias not in file.entries:
        return np.zeros(weight.shape[:1], dtype=weight.dtype)
    if not file.is_float(bias):
        raise InputError(f"'{bias}' of {file.path} must be floats, got {file.entries[bias].type}; convert it")
    return file.floats(bias)


def _mask(file: SafetensorsFile, name: str) -> Array | None:
    return file.stored(name + MASK_ENDING) if name + MASK_ENDING in file.entries else None


def _check_order(names: Sequence[str], weights: Sequence[Array], path: str | Path, *, plain: bool) -> None:
    for i in range(1, len(weights) if plain else 0):
        if weights[i].shape[1] != weights[i - 1].shape[0]:
            raise InputError(
                f"the layers of {path} must fit together, got {weights[i].shape} for '{names[i]}' after "
                f"{weights[i - 1].shape} for '{names[i - 1]}' (natural order of names); name them in order: "
                "read_safetensors(path, names=[...]), then write_network"
            )
