"""The scheduler that spreads blocks over processes with Dask; Dask is imported when the first block comes."""

import os
import queue
import signal
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simprune.design.block import Block
from simprune.model.errors import InputError
from simprune.schedulers.base import AbstractScheduler, Compute, Outcome
from simprune.schedulers.errors import SchedulerLost

if TYPE_CHECKING:
    from simprune.schedulers.pool import Pool

TICK_SECONDS = 0.25
CHECK_SECONDS = 1.0
GATHER_SECONDS = 5.0
MIN_WINDOW = 4
MAX_ATTEMPTS = 3
DIED = "KilledWorker"
# Errors of the machinery, raised in the name of a task that did nothing wrong.
INFRASTRUCTURE = ("CommClosedError", "NoWorkerError", "NoValidWorkerError", "FutureCancelledError", "CancelledError")


@dataclass(slots=True, kw_only=True)
class _Task:
    block: Block
    future: Any
    attempt: int
    seen_running: float | None = None
    verdict: str | None = None


class DaskScheduler(AbstractScheduler):
    """Runs blocks in ``workers`` local processes, or on the workers that ``open_pool`` returns.

    ``deadline`` is the longest that a block may run, in seconds; its process is killed then. None means no limit.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        open_pool: "Callable[[], Pool] | None" = None,
        deadline: float | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise InputError(f"workers must be at least 1, got {workers}; leave it out to use all processors")
        self._workers, self._open_pool, self._deadline = workers, open_pool, deadline
        self._pool: Pool | None = None

    def map(
        self, compute: Compute, blocks: Iterable[Block], *, alone: bool = False
    ) -> Generator[Outcome | None, None, None]:
        waiting = iter(blocks)
        first = next(waiting, None)
        if first is None:
            return
        yield from _Flight(self._open(), compute, deadline=self._deadline, alone=alone).run(first, waiting)

    def connect(self) -> None:
        """Open the pool now, not when the first block comes."""
        self._open()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _open(self) -> "Pool":
        if self._pool is not None and self._pool.client.status != "running":
            self.close()
        if self._pool is not None:
            self._pool.heal()
        elif self._open_pool is not None:
            self._pool = self._open_pool()
        else:
            from simprune.schedulers import pool

            self._pool = pool.LocalPool(self._workers or pool.default_workers())
        return self._pool


class _Flight:
    """The tasks under way of one ``map``: never more than a window of blocks that were not taken yet."""

    def __init__(self, pool: "Pool", compute: Compute, *, deadline: float | None, alone: bool) -> None:
        self._pool, self._compute, self._deadline = pool, compute, deadline
        self._window = 1 if alone else max(MIN_WINDOW, 2 * pool.n_threads())
        self._tasks: dict[str, _Task] = {}
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._checked = time.monotonic()

    def run(self, first: Block, waiting: Iterator[Block]) -> Generator[Outcome | None, None, None]:
        try:
            self._submit(first)
            while True:
                while len(self._tasks) < self._window and (block := next(waiting, None)) is not None:
                    self._submit(block)
                if not self._tasks:
                    return
                yield self._next()
        finally:
            self._drop()

    def _submit(self, block: Block, *, attempt: int = 1) -> None:
        key = f"simprune-{uuid.uuid4().hex}"
        future = self._pool.client.submit(self._compute, block, key=key, pure=False, retries=0)
        self._tasks[key] = _Task(block=block, future=future, attempt=attempt)
        future.add_done_callback(self._ended.put)

    def _next(self) -> Outcome | None:
        if time.monotonic() - self._checked > CHECK_SECONDS:
            self._check()
        try:
            future = self._ended.get(timeout=TICK_SECONDS)
        except queue.Empty:
            return None
        task = self._tasks.pop(future.key, None)
        return None if task is None else self._outcome(task)

    def _outcome(self, task: _Task) -> Outcome | None:
        try:
            batches = task.future.result(timeout=GATHER_SECONDS)
        except InputError:
            raise
        except Exception as error:
            return self._judge(task, error)
        return Outcome(block=task.block, batches=tuple(batches))

    def _judge(self, task: _Task, error: Exception) -> Outcome | None:
        """Tell a failure of the block from one of the machinery; the latter is tried again."""
        if self._pool.client.status != "running":
            raise _lost(error)
        name = type(error).__name__
        if task.verdict is not None:
            return Outcome(block=task.block, failure=task.verdict)
        if isinstance(error, TimeoutError) and task.future.status != "error":
            # The result is there, but its worker does not answer: look again after others.
            self._tasks[task.future.key] = task
            self._ended.put(task.future)
            return None
        if name in INFRASTRUCTURE and task.attempt < MAX_ATTEMPTS:
            self._submit(task.block, attempt=task.attempt + 1)
            return None
        reason = "its worker process died (killed, out of memory, or crashed)" if name == DIED else f"{name}: {error}"
        return Outcome(block=task.block, failure=reason)

    def _check(self) -> None:
        """Replace lost workers, notice a lost scheduler, and kill workers whose block is over its deadline."""
        self._checked = now = time.monotonic()
        if self._pool.client.status != "running":
            raise _lost(None)
        self._pool.heal()
        if self._deadline is None:
            return
        for worker, keys in self._pool.client.processing().items():
            for task in (self._tasks[key] for key in keys if key in self._tasks):
                task.seen_running = task.seen_running or now
                if task.verdict is None and now - task.seen_running > self._deadline:
                    task.verdict = f"it ran longer than the deadline of {self._deadline:g} s"
                    task.future.cancel()
                    self._pool.client.run(_kill_worker, workers=[worker], nanny=True, on_error="ignore")

    def _drop(self) -> None:
        if self._tasks and self._pool.client.status == "running":
            self._pool.client.cancel([task.future for task in self._tasks.values()])
        self._tasks.clear()


def _lost(error: Exception | None) -> SchedulerLost:
    told = f"'{' '.join(str(error).split())}'" if error is not None else "nothing"
    return SchedulerLost(f"the Dask scheduler must answer until the end, got {told}; run the same again to go on")


def _kill_worker(dask_worker: Any) -> None:
    """Runs in the worker's nanny, so that it works even while the worker holds its interpreter."""
    os.kill(dask_worker.pid, signal.SIGKILL)
