"""Sets of lanes: a slice where the lanes are neighbours (so that NumPy copies nothing), else a sorted index array."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Lanes = slice | npt.NDArray[np.int64]


def compact(index: npt.NDArray[np.int64]) -> Lanes:
    """Return the sorted ``index`` as lanes."""
    if index.size and index[-1] - index[0] + 1 == index.size:
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def size(lanes: Lanes) -> int:
    return lanes.stop - lanes.start if isinstance(lanes, slice) else lanes.size


def index_of(lanes: Lanes) -> npt.NDArray[np.int64]:
    return np.arange(lanes.start, lanes.stop) if isinstance(lanes, slice) else lanes


def narrow(lanes: Lanes, chosen: npt.NDArray[np.bool_]) -> Lanes:
    """Return those lanes where ``chosen``, one value a lane, is true."""
    places = np.flatnonzero(chosen)
    if places.size == chosen.size:
        return lanes
    return compact(places + lanes.start if isinstance(lanes, slice) else lanes[places])


def union(groups: Sequence[Lanes]) -> Lanes:
    """Return the lanes of disjoint groups."""
    if len(groups) == 1:
        return groups[0]
    return compact(np.sort(np.concatenate([index_of(group) for group in groups])))


def spread(values: Any, lanes: Lanes) -> Any:
    """Return ``values``, a scalar or one value a lane, as one value a lane."""
    return values if np.ndim(values) and np.size(values) == size(lanes) else np.broadcast_to(values, size(lanes))
