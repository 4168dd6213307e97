"""What the engine needs of a scheduler."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from simprune.design.block import Block
from simprune.records import TrialBatch

Compute = Callable[[Block], list[TrialBatch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A computed block, or the reason why it could not be computed."""

    block: Block
    batches: tuple[TrialBatch, ...] = ()
    failure: str | None = None


class AbstractScheduler(ABC):
    """Runs ``compute`` on blocks, at most a bounded number of them at a time."""

    @abstractmethod
    def map(
        self, compute: Compute, blocks: Iterable[Block], *, alone: bool = False
    ) -> Generator[Outcome | None, None, None]:
        """Yield an outcome for every block, in any order, and None now and then while nothing has finished.

        Blocks are pulled from the iterable only when a worker has room and earlier outcomes were taken, so that a
        slow store slows submission. ``alone`` runs one block at a time (suspects that may kill their worker).
        Closing the generator drops the blocks that are still running. InputError of ``compute`` is raised as it is.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop all workers."""
