"""NNet text files, the format of small aircraft-control networks (github.com/sisl/NNet), ReLU throughout.

Comment lines (``//``); number of layers, inputs, outputs, largest layer; layer sizes; an unused flag; smallest and largest
inputs; means and ranges of the inputs and, last, of the outputs; then every layer's weights row by row and its biases.

The network read is the one between the normalisations: its inputs are (x - mean) / range, its outputs are multiplied by
the output range afterwards. Folding that into the weights would change which of them are small, so it is kept beside the
network (``read_nnet_file``) and written back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.activations import ReLU
from simprune.model.errors import InputError
from simprune.trained.files import checked_file, write_whole
from simprune.trained.network import TrainedNetwork

Doubles = npt.NDArray[np.float64]
MAX_BYTES = 1 << 26
MAX_LAYERS = 1000
MAX_SIZE = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalisation:
    """Input range ``[d_0]`` (smallest, largest), and means and ranges ``[d_0 + 1]``, those of the outputs last."""

    smallest: Doubles
    largest: Doubles
    means: Doubles
    ranges: Doubles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NNetFile:
    """A network with the comments and the normalisation of its file."""

    comments: tuple[str, ...]
    normalisation: Normalisation
    network: TrainedNetwork


class _Lines:
    """The lines of a file that are read one after the other, each a list of numbers."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path, self._lines, self._at = path, lines, 0

    def numbers(self, what: str, count: int | None = None) -> Doubles:
        if self._at >= len(self._lines):
            raise self.wrong(f"the end of the file in place of {what}")
        parts = self._lines[self._at].rstrip().rstrip(",").split(",")
        self._at += 1
        try:
            row = np.array([float(part) for part in parts])
        except ValueError:
            raise self.wrong(
                f"no numbers with commas between in place of {what} (line {self._at} after the comments)"
            ) from None
        if count is not None and row.size != count:
            raise self.wrong(f"{row.size} numbers in place of the {count} of {what} (line {self._at} after the comments)")
        return row

    def left(self) -> int:
        return len(self._lines) - self._at

    def wrong(self, reason: str) -> InputError:
        return InputError(f"{self.path} must be a whole NNet file, got {reason}; write it anew")


def read_nnet(path: str | Path) -> TrainedNetwork:
    """Return the network of a file, between its normalisations."""
    return read_nnet_file(path).network


def read_nnet_file(path: str | Path) -> NNetFile:
    """Return a network with comments and normalisation; InputError for text that is no whole NNet file."""
    path = checked_file(path, most_bytes=MAX_BYTES)
    try:
        text = path.read_bytes().decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path} must be an NNet text file, got bytes that are no text; check the name") from None
    comments = tuple(line for line in text if line.startswith("//"))
    lines = _Lines(path, [line for line in text if line.strip() and not line.startswith("//")])
    sizes = _sizes(lines)
    lines.numbers("the unused flag")
    smallest, largest = lines.numbers("the smallest inputs"), lines.numbers("the largest inputs")
    means = lines.numbers("the means", sizes[0] + 1)
    ranges = lines.numbers("the ranges", sizes[0] + 1)
    for bound, what in ((smallest, "smallest"), (largest, "largest")):
        if bound.size not in (1, sizes[0]):
            raise lines.wrong(f"{bound.size} {what} inputs for {sizes[0]} inputs")
    if not np.isfinite(means).all() or not (np.isfinite(ranges) & (ranges != 0.0)).all():
        raise lines.wrong("means or ranges that are not finite, or a range of 0")
    weights, biases = [], []
    for layer in range(len(sizes) - 1):
        rows = range(sizes[layer + 1])
        weights.append(np.array([lines.numbers(f"row {i} of weights {layer}", sizes[layer]) for i in rows]))
        biases.append(np.array([lines.numbers(f"bias {i} of layer {layer}", 1)[0] for i in rows]))
    if lines.left():
        raise lines.wrong(f"{lines.left()} lines too many")
    network = TrainedNetwork(weights=tuple(weights), biases=tuple(biases), origin=str(path), activation=ReLU())
    ranges_of = Normalisation(smallest=smallest, largest=largest, means=means, ranges=ranges)
    return NNetFile(comments=comments, normalisation=ranges_of, network=network)


def write_nnet(path: str | Path, network: TrainedNetwork, *, like: NNetFile | None = None) -> None:
    """Write a fully connected ReLU network, with the comments and normalisation of ``like`` (none: identity).

    Numbers are written so that they are read back bit for bit.
    """
    if network.chain is not None:
        raise InputError(
            f"NNet files hold fully connected networks only, got {network.origin}; write npz, safetensors or onnx"
        )
    if network.activation not in (None, ReLU()):
        raise InputError(f"NNet files hold ReLU networks only, got {network.activation}; write another format")
    widths, norm = network.widths, _identity(network.widths[0]) if like is None else like.normalisation
    text = list(like.comments) if like is not None else ["// written by simprune"]
    text.append(_row([len(widths) - 1, widths[0], widths[-1], max(widths)]))
    text += [_row(widths), "0,"]
    text += [_row(values.tolist()) for values in (norm.smallest, norm.largest, norm.means, norm.ranges)]
    for weight, bias in zip(network.weights, network.biases, strict=True):
        text += [_row(row) for row in weight.tolist()] + [_row([value]) for value in bias.tolist()]
    write_whole(path, ("\n".join(text) + "\n").encode("ascii", "replace"))


def _sizes(lines: _Lines) -> list[int]:
    head = _whole(lines, "numbers of layers, inputs, outputs and largest layer", 4)
    if not 1 <= head[0] <= MAX_LAYERS:
        raise lines.wrong(f"{head[0]} layers, outside 1..{MAX_LAYERS}")
    sizes = _whole(lines, "the layer sizes", head[0] + 1)
    if not all(1 <= size <= MAX_SIZE for size in sizes):
        raise lines.wrong(f"layer sizes {sizes[:8]} outside 1..{MAX_SIZE}")
    if [sizes[0], sizes[-1]] != head[1:3]:
        raise lines.wrong(f"layer sizes {sizes[:8]} that contradict {head[1]} inputs and {head[2]} outputs")
    if sum(sizes[1:]) * 2 > lines.left():
        raise lines.wrong(f"{lines.left()} lines for {sum(sizes[1:])} neurons")
    return sizes


def _whole(lines: _Lines, what: str, count: int) -> list[int]:
    numbers = lines.numbers(what, count)
    if not all(float(n).is_integer() for n in numbers):
        raise lines.wrong(f"numbers that are not whole in place of {what}")
    return [int(n) for n in numbers]


def _identity(n_inputs: int) -> Normalisation:
    zeros, ones = np.zeros(n_inputs + 1), np.ones(n_inputs + 1)
    largest = np.full(n_inputs, np.finfo(np.float64).max)
    return Normalisation(smallest=-largest, largest=largest, means=zeros, ranges=ones)


def _row(values: Sequence[Any]) -> str:
    return ",".join(repr(value) for value in values) + ","
