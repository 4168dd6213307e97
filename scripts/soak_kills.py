"""Campaigns that are killed again and again until they are complete, and what is checked then."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from soak_run import soak_design

from simprune.backends.reference import ReferenceBackend
from simprune.engine import run
from simprune.records import columns_of
from simprune.schedulers.serial import SerialScheduler
from simprune.store.memory import MemoryStore
from simprune.store.results import open_results
from simprune.store.verify import check

START_SHARE = 0.2
LIFE_SECONDS = 0.4
WORKER_SECONDS = 0.5
MOST_WORKER_KILLS = 8
MOST_LIVES = 300
PATIENCE_SECONDS = 120.0


class Budget:
    """The kills that are left, shared by all lanes."""

    def __init__(self, n):
        self._left, self._lock = n, threading.Lock()

    def take(self):
        """Whether one more process may be killed."""
        with self._lock:
            self._left -= 1
            return self._left >= 0

    @property
    def is_spent(self):
        return self._left <= 0


@dataclass
class Campaign:
    """One design, one folder, many lives; ``counts`` tells what was killed and what was found."""

    place: Path
    seed: int
    scheduler: str
    budget: Budget
    counts: Counter = field(default_factory=Counter)

    def complete(self):
        """Run until all rows are there, killed at random while the budget lasts; then check everything."""
        chance = random.Random(self.seed)
        self.counts["campaigns"] += 1
        for _ in range(MOST_LIVES):
            if self._live(chance) == 0:
                break
        else:
            self.counts["incomplete"] += 1
        self._check()
        return self.counts

    def _live(self, chance):
        command = [sys.executable, "-m", "soak_run", str(self.place / "results"), str(self.seed), self.scheduler]
        environment = os.environ | {"TMPDIR": str(self.place)}
        with (self.place / "log").open("a") as log:
            process = subprocess.Popen(command, cwd=Path(__file__).parent, stdout=log, stderr=log, env=environment)
        self.counts["lives"] += 1
        try:
            if not self.budget.is_spent:
                self._harm(process, chance)
            return process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.counts["hung"] += 1
            return None
        finally:
            _end(process)

    def _harm(self, process, chance):
        """Kill workers, then the driver: at any time of its start, or at any time after its first commit."""
        if chance.random() < START_SHARE:
            time.sleep(chance.uniform(0.0, LIFE_SECONDS))
        else:
            before = self._n_acknowledged()
            while process.poll() is None and self._n_acknowledged() == before:
                time.sleep(0.01)
            if self.scheduler == "local":
                self._kill_workers(process, chance)
            time.sleep(chance.uniform(0.0, LIFE_SECONDS))
        if process.poll() is None and self.budget.take():
            process.kill()
            self.counts[f"drivers, {self.scheduler}"] += 1

    def _kill_workers(self, process, chance):
        for _ in range(chance.randint(0, MOST_WORKER_KILLS)):
            time.sleep(chance.uniform(0.0, WORKER_SECONDS))
            workers = []
            while process.poll() is None and not workers:
                workers = _workers(process)
                time.sleep(0.01)
            if not workers or not self.budget.take():
                return
            with suppress(psutil.NoSuchProcess):
                chance.choice(workers).kill()
            self.counts["workers"] += 1

    def _n_acknowledged(self):
        path = self.place / "acks.txt"
        return path.stat().st_size if path.exists() else 0

    def _check(self):
        design, results = soak_design(self.seed), open_results(self.place / "results", trusted=True)
        faults = self.place / "faults.txt"
        told = faults.read_text().splitlines() if faults.exists() else []
        self.counts["unreadable"] += len(results.problems) + sum(line.startswith("unreadable") for line in told)
        for line in told:
            if line.startswith("lost"):
                _, _, first, stop = line.split()
                self.counts["lost"] += int(stop) - int(first)
        findings = check(self.place / "results", trusted=True)
        self.counts["doubled"] += sum("earlier segment" in finding.text for finding in findings)
        self.counts["unreadable"] += sum(not finding.ok for finding in findings)
        quiet = MemoryStore()
        run(design, backend=ReferenceBackend(), scheduler=SerialScheduler(), store=quiet)
        for point in design.points():
            table, expected = results.table(point), quiet.read(point)
            self.counts["rows"] += table.n_trials
            equal = all(table[spec.name].tobytes() == expected[spec.name].tobytes() for spec in columns_of(point))
            self.counts["different"] += not equal


def _workers(process):
    found = []
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
    return found


def _end(process):
    children = []
    with suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
