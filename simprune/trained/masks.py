"""Masks (True = kept) that travel with pruned networks."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from simprune.model.errors import InputError


def check_mask(weight: npt.NDArray[Any], mask: npt.NDArray[Any] | None, *, name: str, origin: str | Path) -> None:
    """Refuse a mask (True = kept) that does not fit the weights or that marks a non-zero weight as pruned."""
    if mask is None:
        return
    if mask.dtype != np.bool_ or mask.shape != weight.shape:
        raise InputError(
            f"the mask of {name} in {origin} must be bool of shape {weight.shape}, got {mask.dtype} {mask.shape}; mend it"
        )
    if np.any(weight[~mask]):
        raise InputError(f"weights that the mask of {name} in {origin} marks as pruned must be 0, got others; mend the file")
