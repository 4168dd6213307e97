"""``scripts/soak``: many kills, then a table of what was lost (nothing, or the exit status is 1)."""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from soak_kills import Budget, Campaign

SCHEDULERS = ("serial", "local")
KILLS = ("drivers, serial", "drivers, local", "workers")
FAULTS = {
    "unreadable": "segments that could not be read, at any start",
    "lost": "rows that were reported as committed and gone at a later start",
    "doubled": "segments with rows that an earlier one holds",
    "different": "points whose bytes differ from a quiet serial run",
    "incomplete": "campaigns that did not end",
    "hung": "lives that had to be ended",
}


def soak(n, *, seed, lanes):
    """Kill ``n`` processes, ``lanes`` campaigns at a time, and return all counts."""
    budget, numbers = Budget(n), itertools.count()

    def lane(_):
        found = Counter()
        while not budget.is_spent:
            number = next(numbers)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
                found += Campaign(Path(place), seed * 1_000_000 + number, SCHEDULERS[number % 2], budget).complete()
            told = f"{sum(found[kind] for kind in KILLS)} kills in this lane, {faults_of(found)} faults"
            print(told, file=sys.stderr, flush=True)
        return found

    with ThreadPoolExecutor(lanes) as pool:
        return sum(pool.map(lane, range(lanes)), Counter())


def faults_of(counts):
    """Return the number of faults of all kinds."""
    return sum(counts[name] for name in FAULTS)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Kill real runs and look for lost rows.")
    parser.add_argument("n", nargs="?", type=int, default=1000, help="kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=len(os.sched_getaffinity(0)), help="campaigns at a time")
    given = parser.parse_args(arguments)
    begun = time.monotonic()
    counts = soak(given.n, seed=given.seed, lanes=given.lanes)
    print(
        f"{counts['campaigns']} campaigns, {counts['lives']} lives, {counts['rows']} rows, {time.monotonic() - begun:.0f} s"
    )
    for kind in KILLS:
        print(f"{counts[kind]:8d}  killed: {kind}")
    for name, meaning in FAULTS.items():
        print(f"{counts[name]:8d}  {name}: {meaning}")
    return int(faults_of(counts) > 0)


if __name__ == "__main__":
    sys.exit(main())
