"""Weights of fixed targets, kept with the results so that every trial can be computed again from them."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simprune.store.errors import DamagedResults
from simprune.store.files import write_atomic
from simprune.store.plain import open_plain
from simprune.trained.network import TrainedNetwork
from simprune.trained.npz import named_arrays, network_of

FOLDER = "networks"


def save_networks(folder: Path, networks: Mapping[str, TrainedNetwork]) -> None:
    """Write the networks that the folder does not hold in good order yet."""
    for sha256, network in networks.items():
        path = folder / FOLDER / f"{sha256}.npz"
        try:
            load_network(folder, sha256, origin=network.origin)
        except DamagedResults:
            write_atomic(path, _encode(network), replace=True)


def load_network(folder: Path, sha256: str, *, origin: str) -> TrainedNetwork:
    """Return the network with this digest; DamagedResults if it is absent or damaged."""
    path = folder / FOLDER / f"{sha256}.npz"
    try:
        with open_plain(path) as stream, zipfile.ZipFile(stream) as archive:
            # We write uncompressed archives: anything else is not ours, and could be inflated.
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("compressed members")
        with np.load(path, allow_pickle=False) as arrays:
            network = network_of({name: arrays[name] for name in arrays.files}, origin=origin)
    except Exception as error:  # zipfile and NumPy raise many types on damaged files
        raise DamagedResults(
            f"{path} must hold the weights of a fixed target, it cannot be read ({type(error).__name__}: {error}); "
            "run the design again to restore it"
        ) from error
    if network.sha256 != sha256:
        raise DamagedResults(
            f"{path} must hold the weights that its name says, got others; run the design again to restore it"
        )
    return network


def _encode(network: TrainedNetwork) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **named_arrays(network))  # type: ignore[arg-type]
    return buffer.getvalue()
