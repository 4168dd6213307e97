"""The order of work: which block comes next, what happens to blocks that fail, and when a network is given up."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from simprune.design.block import Block, family
from simprune.engine.pace import Pace, row_bytes
from simprune.engine.report import Failure
from simprune.engine.todo import FamilyKey

MAX_SUSPECTS = 8
MIN_BLAMED = 16
MAX_BLAMED_SHARE = 0.01


@dataclass(slots=True, kw_only=True)
class Family:
    """Work left on one network: blocks not cut yet, blocks that failed once, and how its trials went so far."""

    pending: deque[Block]
    pace: Pace
    suspects: deque[Block] = field(default_factory=deque)
    n_trials_under_way: int = 0
    n_trials_done: int = 0
    blamed: set[int] = field(default_factory=set)

    @property
    def is_hopeless(self) -> bool:
        """Whether so many trials failed alone that trying the rest is waste."""
        return len(self.blamed) >= MIN_BLAMED and len(self.blamed) > MAX_BLAMED_SHARE * self.n_trials_done

    def cut(self, *, last: bool = False) -> Block:
        """Take the next block off the pending ones; ``last`` says that no other family has any."""
        n_left = sum(block.n_trials for block in self.pending) if last else None
        block = self.pending.popleft()
        middle = min(block.first + self.pace.size(n_left=n_left), block.stop)
        if middle < block.stop:
            self.pending.appendleft(Block(points=block.points, first=middle, stop=block.stop, trained=block.trained))
        self.n_trials_under_way += middle - block.first
        return Block(points=block.points, first=block.first, stop=middle, trained=block.trained)

    def cut_suspect(self) -> Block:
        """Take the next block that failed before."""
        block = self.suspects.popleft()
        self.n_trials_under_way += block.n_trials
        return block

    def seconds_left(self) -> float | None:
        """Return the seconds of computation that the family still needs, None while that is unknown."""
        n_trials = self.n_trials_under_way + sum(block.n_trials for block in (*self.pending, *self.suspects))
        if n_trials == 0:
            return 0.0
        return None if self.pace.seconds_per_trial is None else n_trials * self.pace.seconds_per_trial


class WorkQueue:
    """Blocks of all families.

    The first block of a family is one trial, and only one family at a time is tried for the first time while the
    others go on: so kernels are compiled by one process, never by all of them at once. Failed blocks are halved and
    tried again last and alone; only a single trial of a single point that failed alone is blamed.
    """

    def __init__(self, todo: Mapping[FamilyKey, tuple[Block, ...]], *, block_trials: int | None = None) -> None:
        self.families: dict[FamilyKey, Family] = {}
        self._block_trials = block_trials
        self.failed: list[Failure] = []
        self.n_given_up = 0
        self._probing: FamilyKey | None = None
        self.add(todo)

    def add(self, todo: Mapping[FamilyKey, tuple[Block, ...]]) -> None:
        """Take more blocks; families keep what they learnt, and what was given up stays so."""
        for key, blocks in todo.items():
            if key not in self.families:
                pace = Pace(bytes_per_trial=max(row_bytes(b.points) for b in blocks), fixed_size=self._block_trials)
                self.families[key] = Family(pending=deque(), pace=pace)
            if self.families[key].is_hopeless:
                self.n_given_up += sum(len(block.points) * block.n_trials for block in blocks)
            else:
                self.families[key].pending.extend(blocks)

    @property
    def has_work(self) -> bool:
        """Whether any block waits."""
        return any(f.pending or f.suspects for f in self.families.values())

    def take(self) -> Block | None:
        """Return the next block, None if there is none before blocks under way have ended or suspects were cleared."""
        if self._probing is None:
            for key, work in self.families.items():
                if work.pending and work.pace.seconds_per_trial is None and len(work.suspects) < MAX_SUSPECTS:
                    self._probing = key
                    return work.cut()
        waiting = [work for work in self.families.values() if work.pending]
        for work in waiting:
            if work.pace.seconds_per_trial is not None and len(work.suspects) < MAX_SUSPECTS:
                return work.cut(last=len(waiting) == 1)
        return None

    def take_suspect(self) -> Block | None:
        """Return the next block that must run alone."""
        return next((work.cut_suspect() for work in self.families.values() if work.suspects), None)

    def finished(self, block: Block, seconds: float) -> None:
        """Take note of a block that was computed."""
        work = self._ended(block)
        work.pace.observe(block.n_trials, seconds)
        work.n_trials_done += block.n_trials

    def failed_once(self, block: Block, reason: str, *, alone: bool) -> Failure | None:
        """Take note of a block that failed; return the failure if that proves which trial is bad."""
        work = self._ended(block)
        if len(block.points) * block.n_trials > 1:
            # Newest first: the first bad trials are found soon, also where everything is bad.
            work.suspects.extendleft(reversed(_halves(block)))
            return None
        if not alone:
            work.suspects.append(block)
            return None
        failure = Failure(point=block.points[0], trial=block.first, reason=reason)
        self.failed.append(failure)
        work.blamed.add(block.first)
        if work.is_hopeless:
            self.n_given_up += sum(len(b.points) * b.n_trials for b in (*work.pending, *work.suspects))
            work.pending.clear()
            work.suspects.clear()
        return failure

    def _ended(self, block: Block) -> Family:
        key = family(block.points[0])
        if self._probing == key:
            self._probing = None
        work = self.families[key]
        work.n_trials_under_way -= block.n_trials
        return work


def _halves(block: Block) -> tuple[Block, Block]:
    if block.n_trials > 1:
        return block.split()
    middle = len(block.points) // 2
    left, right = block.points[:middle], block.points[middle:]
    return (
        Block(points=left, first=block.first, stop=block.stop, trained=block.trained),
        Block(points=right, first=block.first, stop=block.stop, trained=block.trained),
    )
