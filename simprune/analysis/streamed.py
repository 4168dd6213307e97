"""Exact order statistics of columns that are read in chunks, any number of times, and never held as a whole.

The first round counts the keys of all values in about 2^16 bins; a second one collects the bins in which a wanted rank
or value lies, and sorts them. A bin with too many rows is divided instead, and a bin of one key (ties) is known at once.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import numpy as np

from simprune.analysis.cells import Cell, FirstRound, LaterRound, whole
from simprune.analysis.keys import Doubles, Keys, keys_of, values_of

BLOCK = 1 << 17
Answer = TypeVar("Answer")


class StreamedOrder:
    """The values of one column in ascending order (``Ordered``).

    After the first round, what is not known yet is NaN (a value) or 0 (a count), and noted: ``Scan.ask`` reads on.
    """

    def __init__(self) -> None:
        self._root = whole()
        self._asked: dict[tuple[int, int], Cell] = {}
        self._round: FirstRound | LaterRound | None = FirstRound(self._root)
        self._waiting: list[Doubles] = []
        self._n_waiting = 0

    def __len__(self) -> int:
        return max(self._root.count, 0)

    def __getitem__(self, rank: Any, /) -> Any:
        ranks = np.asarray(rank, dtype=np.int64)
        found = np.array([self._value(r) for r in ranks.ravel().tolist()], dtype=np.float64)
        return found.reshape(ranks.shape)[()]

    def searchsorted(self, value: Any, /, side: Literal["left", "right"]) -> Any:
        """Return the number of values below ``value`` (left) or at most ``value`` (right)."""
        key = int(keys_of(np.array([value], dtype=np.float64))[0]) - (side == "left")
        cell = self._root.of_key(key)
        return cell.n_at_most(key) if self._is_known(cell) else 0

    @property
    def must_read(self) -> bool:
        """Whether something was asked for that only another round can tell."""
        return self._round is not None or bool(self._asked)

    def begin(self) -> None:
        """Begin a round."""
        if self._round is None:
            self._round = LaterRound(self._root, list(self._asked.values()))

    def add(self, values: Doubles) -> None:
        """Take the next values of the round."""
        for at in range(0, len(values), BLOCK):
            block = values[at : at + BLOCK]
            self._waiting.append(block)
            self._n_waiting += len(block)
            if self._n_waiting >= BLOCK:
                self._take()

    def finish(self) -> None:
        """End a round."""
        assert self._round is not None
        if self._n_waiting:
            self._take()
        self._round.finish()
        self._round = None
        self._asked.clear()

    def _take(self) -> None:
        assert self._round is not None
        keys: Keys = keys_of(self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting))
        self._waiting.clear()
        self._n_waiting = 0
        self._round.add(keys)

    def _value(self, rank: int) -> float:
        at = rank + len(self) if rank < 0 else rank
        if not 0 <= at < len(self):
            raise IndexError(f"rank must lie in 0..{len(self) - 1}, got {rank}")
        cell = self._root.of_rank(at)
        return float(values_of(np.array([cell.key(at)], dtype=np.int64))[0]) if self._is_known(cell) else float("nan")

    def _is_known(self, cell: Cell) -> bool:
        if not cell.is_known:
            self._asked[cell.first, cell.last] = cell
        return cell.is_known


class Scan:
    """Columns that are read together, ``chunks(names)`` being one pass over the columns that are named."""

    def __init__(self, names: tuple[str, ...], chunks: Callable[[tuple[str, ...]], Iterator[Mapping[str, Doubles]]]) -> None:
        self.columns = {name: StreamedOrder() for name in names}
        self._chunks = chunks

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Return the answer of a question to the columns; it is asked again until nothing is missing."""
        self._read_on()
        while True:
            answer = question()
            if not self._read_on():
                return answer

    def _read_on(self) -> bool:
        names = tuple(name for name, column in self.columns.items() if column.must_read)
        if not names:
            return False
        for name in names:
            self.columns[name].begin()
        for chunk in self._chunks(names):
            for name in names:
                self.columns[name].add(chunk[name])
        for name in names:
            self.columns[name].finish()
        return True
