"""The scheduler that runs every block here and now."""

from collections.abc import Generator, Iterable

from simprune.design.block import Block
from simprune.model.errors import InputError
from simprune.schedulers.base import AbstractScheduler, Compute, Outcome


class SerialScheduler(AbstractScheduler):
    """Computes blocks one after the other in this process; a block that kills its process ends the run."""

    def map(
        self, compute: Compute, blocks: Iterable[Block], *, alone: bool = False
    ) -> Generator[Outcome | None, None, None]:
        for block in blocks:
            yield _outcome(compute, block)

    def close(self) -> None:
        """Do nothing: there are no workers."""


def _outcome(compute: Compute, block: Block) -> Outcome:
    try:
        return Outcome(block=block, batches=tuple(compute(block)))
    except InputError:
        raise
    except Exception as error:
        return Outcome(block=block, failure=f"{type(error).__name__}: {error}")
