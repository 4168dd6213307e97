"""Networks and weights from files of any format that simprune reads, chosen by content."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError
from simprune.trained.files import checked_file
from simprune.trained.named import NamedWeight, weights_among
from simprune.trained.network import TrainedNetwork

FORMATS = (".npz", ".nnet", ".safetensors", ".onnx")
HEAD = 4096
_NEVER = {
    b"\x93NUMPY": "a single array (.npy); save all weights with numpy.savez as W0, b0, W1, b1, ...",
    b"\x89HDF": "an HDF5 file (Keras and others); export ONNX, or save the weights with numpy.savez",
    b"\x1f\x8b": "a compressed file; unpack it",
}
_PICKLE = (
    "{path} must hold plain numbers, got a Python pickle (as .pt, .pth and .pkl are), which can run any program when it is "
    "read and never is; in the program that made it, export ONNX (torch.onnx.export) or save safetensors "
    "(safetensors.torch.save_file(model.state_dict(), ...))"
)


def read_network(path: str | Path) -> TrainedNetwork:
    """Return the network of an ``.npz``, NNet, safetensors or ONNX file.

    InputError if it is missing, damaged, a pickle, or holds layers that cannot be run.
    """
    path = checked_file(path)
    return _readers()[file_format(path)](path)


def read_weights(path: str | Path) -> tuple[NamedWeight, ...]:
    """Return every matrix and kernel of floats in a file with its name, whether its layer can be run or not."""
    path = checked_file(path)
    kind = file_format(path)
    if kind == ".safetensors":
        from simprune.trained.safetensors_file import open_safetensors

        file = open_safetensors(path)
        return weights_among({name: file.floats(name) for name in file.entries if file.is_float(name)})
    if kind == ".onnx":
        from simprune.trained.onnx_file import stored_tensors

        return weights_among(stored_tensors(path))
    if kind == ".nnet":
        return weights_among({f"W{i}": w for i, w in enumerate(read_network(path).weights)})
    from simprune.trained.npz import read_arrays

    return weights_among(read_arrays(path))


def write_network(
    path: str | Path, network: TrainedNetwork, *, masks: Sequence[npt.NDArray[np.bool_]] | None = None
) -> None:
    """Write a network in the format that the name ends with, bit for bit; ``masks`` (True = kept) with it.

    NNet files have no room for masks: they go to an ``.npz`` file of the same name, ``NAME.masks.npz``.
    """
    from simprune.trained.nnet import write_nnet
    from simprune.trained.npz import write_masks, write_npz
    from simprune.trained.safetensors import write_safetensors

    path = Path(path)
    kind = path.suffix.lower()
    if kind == ".npz":
        write_npz(path, network, masks=masks)
    elif kind == ".safetensors":
        write_safetensors(path, network, masks=masks)
    elif kind == ".onnx":
        from simprune.trained.onnx_export import write_onnx

        write_onnx(path, network, masks=masks)
    elif kind == ".nnet":
        write_nnet(path, network)
        if masks is not None:
            write_masks(masks_beside(path), masks)
    else:
        raise InputError(f"a network file must end with one of {', '.join(FORMATS)}, got {path.name}; rename it")


def write_pruned(source: str | Path, out: str | Path, masks: Sequence[npt.NDArray[np.bool_]]) -> None:
    """Write the file ``source`` again in its own format, with pruned weights 0 and the masks (True = kept) added.

    Everything else of the file stays: names, nodes, metadata, normalisation. Masks in order of the layers.
    """
    kind = file_format(checked_file(source))
    if Path(out).suffix.lower() != kind:
        raise InputError(
            f"the pruned network must have the format of {source}, {kind}, got {Path(out).name}; end it with {kind}"
        )
    network = read_network(source)
    if kind == ".safetensors":
        from simprune.trained.safetensors import prune_safetensors

        prune_safetensors(source, out, masks)
    elif kind == ".onnx":
        from simprune.trained.onnx_chain import read_onnx_network
        from simprune.trained.onnx_export import prune_onnx

        prune_onnx(read_onnx_network(source), out, masks)
    elif kind == ".nnet":
        from simprune.trained.nnet import read_nnet_file, write_nnet
        from simprune.trained.npz import write_masks

        write_nnet(out, masked(network, masks), like=read_nnet_file(source))
        write_masks(masks_beside(out), masks)
    else:
        write_network(out, masked(network, masks), masks=masks)


def masked(network: TrainedNetwork, masks: Sequence[npt.NDArray[np.bool_]]) -> TrainedNetwork:
    """Return the network with the weights 0 where a mask is False."""
    weights = tuple(np.where(mask, w, w.dtype.type(0)) for w, mask in zip(network.weights, masks, strict=True))
    return TrainedNetwork(
        weights=weights,
        biases=network.biases,
        origin=network.origin,
        chain=network.chain,
        activation=network.activation,
    )


def masks_beside(path: str | Path) -> Path:
    """Return where the masks of an NNet file lie."""
    return Path(path).with_suffix(".masks.npz")


def file_format(path: Path) -> str:
    """Return the ending that stands for a file's format; InputError for pickles and unknown files."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= path.stat().st_size:
        return ".safetensors"
    for start, what in _NEVER.items():
        if head.startswith(start):
            raise InputError(f"{path} must be one of {', '.join(FORMATS)}, got {what}")
    if _is_pickle(path, head):
        raise InputError(_PICKLE.format(path=path))
    if head.startswith(b"PK"):
        return ".npz"
    if head.startswith(b"//"):
        return ".nnet"
    if path.suffix.lower() in FORMATS:
        return path.suffix.lower()
    raise InputError(f"{path} must be one of {', '.join(FORMATS)}, got something else; give it the ending of its format")


def _is_pickle(path: Path, head: bytes) -> bool:
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    named = path.suffix.lower() in (".pt", ".pth", ".pkl", ".pickle", ".joblib")
    return named or (head.startswith(b"PK") and b"data.pkl" in head)


def _readers() -> Mapping[str, Callable[[Path], TrainedNetwork]]:
    from simprune.trained.nnet import read_nnet
    from simprune.trained.npz import read_npz
    from simprune.trained.onnx_chain import read_onnx
    from simprune.trained.safetensors import read_safetensors

    return {".npz": read_npz, ".nnet": read_nnet, ".safetensors": read_safetensors, ".onnx": read_onnx}
