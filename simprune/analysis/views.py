"""What is ordered of a point's rows: one value a row, or a row of some kind, from a few stored columns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simprune.records import Status, TrialTable

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Values of consecutive rows (``[at most n_rows]``) and the columns that they need; each row counts for itself."""

    needs: tuple[str, ...]
    values: Callable[[TrialTable], Doubles]


def is_certified(table: TrialTable) -> npt.NDArray[np.bool_]:
    """Return which rows hold a certificate."""
    return np.asarray((table["status"] & int(Status.NOT_CERTIFIED)) == 0)


LOWER = View(needs=("gap_lower",), values=lambda table: table["gap_lower"])
UPPER = View(needs=("gap_upper", "status"), values=lambda table: table["gap_upper"][is_certified(table)])
