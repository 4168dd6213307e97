"""A tree of counted key ranges: the ranks that are asked for are followed into ever smaller cells, until they are known."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simprune.analysis.keys import LEAST, MOST, Grid, Keys
from simprune.model.errors import InputError

BITS = 16
FEWER_BITS = 12
FEW = 16
ROOM = 1 << 21
"""Keys that one round of one column may hold."""
SMALL = 1 << 18
"""A cell of more rows than this is divided rather than held."""
MOST_DIVIDED = 256


class Cell:
    """The keys ``first .. last`` have the ranks ``below .. below + count - 1``; it is whole, held (sorted) or divided."""

    __slots__ = ("_parts", "below", "count", "cumulated", "first", "grid", "held", "last")

    def __init__(self, first: int, last: int, below: int, count: int) -> None:
        self.first, self.last, self.below, self.count = first, last, below, count
        self.held: Keys | None = None
        self.grid: Grid | None = None
        self.cumulated: npt.NDArray[np.int64] | None = None
        self._parts: dict[int, Cell] = {}

    @property
    def is_known(self) -> bool:
        """Whether every rank of the cell can be told."""
        return self.count == 0 or self.first == self.last or self.held is not None

    def key(self, rank: int) -> int:
        """Return the key of a rank of a known cell."""
        return self.first if self.held is None else int(self.held[rank - self.below])

    def n_at_most(self, key: int) -> int:
        """Return the number of keys of all cells that are at most ``key``, a key of this known cell."""
        if self.held is not None:
            return self.below + int(np.searchsorted(self.held, key, side="right"))
        return self.below + (self.count if key >= self.first else 0)

    def divide(self, grid: Grid, counts: npt.NDArray[np.int64]) -> None:
        """Divide the cell by the counts of the bins of a grid."""
        self.grid = grid
        self.cumulated = self.below + np.concatenate([[0], np.cumsum(counts)])

    def tie(self, key: int) -> None:
        """Note that all keys of the cell are equal."""
        self.first = self.last = key

    def of_rank(self, rank: int) -> "Cell":
        """Return the smallest cell with a rank."""
        if self.grid is None or self.cumulated is None:
            return self
        return self._part(int(np.searchsorted(self.cumulated, rank, side="right")) - 1).of_rank(rank)

    def of_key(self, key: int) -> "Cell":
        """Return the smallest cell with a key."""
        if self.grid is None:
            return self
        return self._part(int(self.grid.bins(np.array([key], dtype=np.int64))[0])).of_key(key)

    def _part(self, index: int) -> "Cell":
        assert self.grid is not None
        assert self.cumulated is not None
        if index not in self._parts:
            first, last = self.grid.edges(index)
            first = self.first if index == 0 else first
            last = self.last if index == self.grid.n_bins - 1 else last
            below, above = self.cumulated[index], self.cumulated[index + 1]
            self._parts[index] = Cell(first, last, int(below), int(above - below))
        return self._parts[index]


class FirstRound:
    """Counts all keys of a column; the bins follow the first block."""

    def __init__(self, root: Cell) -> None:
        self._root = root
        self._counts: npt.NDArray[np.int64] | None = None
        self._grid = Grid(shift=0, low=0, high=0)

    def add(self, keys: Keys) -> None:
        """Count keys."""
        if self._counts is None:
            self._grid = Grid.over(int(keys.min()), int(keys.max()), bits=BITS, margin=1)
            self._counts = np.zeros(self._grid.n_bins, dtype=np.int64)
        self._counts += np.bincount(self._grid.bins(keys), minlength=self._grid.n_bins)

    def finish(self) -> None:
        """Divide the root."""
        self._root.count = 0
        if self._counts is not None:
            self._root.count = int(self._counts.sum())
            self._root.divide(self._grid, self._counts)


class LaterRound:
    """Holds the keys of small cells and divides large ones, as many as memory allows."""

    def __init__(self, root: Cell, wanted: Sequence[Cell]) -> None:
        small, large = _chosen(wanted)
        cells = sorted([*small, *large], key=lambda cell: cell.first)
        assert root.grid is not None
        self._root, self._root_grid = root, root.grid
        self._n_rows = 0
        self._near = np.zeros(root.grid.n_bins, dtype=bool)
        ends = root.grid.bins(np.array([[cell.first, cell.last] for cell in cells], dtype=np.int64))
        for first, last in ends:
            self._near[first : last + 1] = True
        self._cells = cells
        self._first = np.array([cell.first for cell in cells], dtype=np.int64)
        self._last = np.array([cell.last for cell in cells], dtype=np.int64)
        bits = BITS if len(large) <= FEW else FEWER_BITS
        self._grids = {i: Grid.over(c.first, c.last, bits=bits) for i, c in enumerate(cells) if c.count > SMALL}
        self._extremes = dict.fromkeys(self._grids, (MOST, LEAST))
        self._counts = {i: np.zeros(grid.n_bins, dtype=np.int64) for i, grid in self._grids.items()}
        self._divided = np.array([i in self._grids for i in range(len(cells))])
        self._held: list[Keys] = [np.empty(0, dtype=np.int64)]

    def add(self, keys: Keys) -> None:
        """Take what belongs to the wanted cells."""
        self._n_rows += len(keys)
        near = keys[self._near[self._root_grid.bins(keys)]]
        cell = np.searchsorted(self._first, near, side="right") - 1
        inside = (cell >= 0) & (near <= self._last[cell])
        near, cell = near[inside], cell[inside]
        divided = self._divided[cell]
        self._held.append(near[~divided])
        if divided.any():
            near, cell = near[divided], cell[divided]
            for i in np.unique(cell).tolist():
                grid, mine = self._grids[i], near[cell == i]
                self._counts[i] += np.bincount(grid.bins(mine), minlength=grid.n_bins)
                low, high = self._extremes[i]
                self._extremes[i] = min(low, int(mine.min())), max(high, int(mine.max()))

    def finish(self) -> None:
        """Give every wanted cell what was found of it.

        Raises:
            InputError: another number of rows was found than in an earlier round.

        """
        complete = self._n_rows == self._root.count
        held = np.concatenate(self._held)
        self._held.clear()
        held.sort()
        for i, cell in enumerate(self._cells):
            if i in self._grids:
                found = int(self._counts[i].sum())
                low, high = self._extremes[i]
                if low == high:
                    cell.tie(low)
                else:
                    cell.divide(self._grids[i], self._counts[i])
            else:
                cell.held = held[np.searchsorted(held, cell.first) : np.searchsorted(held, cell.last, side="right")]
                found = len(cell.held)
            complete &= found == cell.count
        if not complete:
            raise InputError("results must stay as they are while they are read, rows came or went; analyze them again")


def _chosen(wanted: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells to hold and those to divide in one round."""
    ascending = sorted(wanted, key=lambda cell: (cell.count, cell.first))
    small, total = [], 0
    for cell in ascending:
        total += cell.count
        if cell.count > SMALL or total > ROOM:
            break
        small.append(cell)
    return small, [cell for cell in ascending if cell.count > SMALL][:MOST_DIVIDED]


def whole() -> Cell:
    """Return the cell of all keys, not counted yet."""
    return Cell(LEAST, MOST, 0, -1)
