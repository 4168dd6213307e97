"""Interleaved timing: A B C A B C ..., medians of times and of ratios, on the processor-time clock of one thread.

And how a process finds its peak memory.
"""

import statistics
import time
from collections.abc import Callable

PEAK = 'peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024'
"""A statement for programs: MiB. Not ru_maxrss, which a process inherits from the one that started it."""


def interleaved(tasks: dict[str, Callable[[], object]], *, rounds: int = 9, budget: float = 20.0) -> dict[str, list[float]]:
    """Return the seconds of every task in every round; each round runs a task for at least about 50 ms."""
    repeats = {}
    for name, task in tasks.items():
        task()
        started = time.process_time()
        task()
        repeats[name] = max(1, int(5e-2 / max(time.process_time() - started, 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    begun = time.perf_counter()
    for done in range(rounds):
        for name, task in tasks.items():
            started = time.process_time()
            for _ in range(repeats[name]):
                task()
            seconds[name].append((time.process_time() - started) / repeats[name])
        if done >= 2 and time.perf_counter() - begun > budget:
            break
    return seconds


def ratio(seconds: dict[str, list[float]], slow: str, fast: str) -> float:
    """Return the median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))


def median(seconds: dict[str, list[float]], name: str) -> float:
    return statistics.median(seconds[name])


def row(what: str, value: str, bar: str, *, met: bool | None) -> None:
    verdict = {True: "met", False: "NOT MET", None: ""}[met]
    print(f"  {what:<58} {value:>24}   {bar:<22} {verdict}", flush=True)


def head(title: str) -> None:
    print(f"\n{title}\n  {'what':<58} {'measured':>24}   {'bar':<22}")
