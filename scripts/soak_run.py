"""The run that is killed: ``python -m soak_run FOLDER SEED serial|local``, and what it leaves beside FOLDER.

``acks.txt`` lists the rows that were reported as committed, one line a commit and point; ``faults.txt`` what a new
driver missed of them when it opened the folder, and segments that it could not read.
"""

import os
import sys
from contextlib import closing
from pathlib import Path

from simprune.backends.reference import ReferenceBackend
from simprune.design.design import Design
from simprune.design.point import Point
from simprune.engine import run
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.gap.spectral import Spectral
from simprune.model.activations import ReLU
from simprune.model.distributions import Gaussian, Uniform
from simprune.model.network import NetworkSpec, SampledTarget
from simprune.model.pruning import MagnitudePruning, RandomPruning
from simprune.records import missing_ranges
from simprune.schedulers.dask import DaskScheduler
from simprune.schedulers.serial import SerialScheduler
from simprune.store.folder import FolderStore

TRIALS = 240
BLOCK_TRIALS = 4
WORKERS = 2


def soak_design(seed):
    """Two networks, two rules each."""
    estimators = (Ascent(restarts=2, steps=3, keep_witness=True), Sampled(samples=4), Spectral())
    points = [
        Point(
            network=NetworkSpec(widths=widths, activation=ReLU(), target=SampledTarget(distribution=law)),
            rule=rule,
            estimators=estimators,
            seed=seed,
        )
        for widths, law in (((4, 6, 3), Uniform()), ((5, 5, 5, 2), Gaussian()))
        for rule in (MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.4))
    ]
    return Design(cells=tuple(points), trials=TRIALS)


class AcknowledgingStore(FolderStore):
    """Commits every block at once and writes down what it committed."""

    def append(self, batches):
        super().append(batches)
        self.flush()
        lines = [f"{batch.point.digest()} {batch.first} {batch.stop}\n" for batch in batches]
        note(self._folder.parent / "acks.txt", "".join(lines))


def note(path, text):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def acknowledged(folder):
    """Return the ranges of every point that were reported as committed."""
    path, found = folder.parent / "acks.txt", {}
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    for line in lines:
        if line.endswith("\n"):
            digest, first, stop = line.split()
            found.setdefault(digest, []).append((int(first), int(stop)))
    return found


def lost(store, folder):
    """Return the acknowledged rows that the folder does not hold."""
    design_points = {point.digest(): point for point in store.record.points}
    gone = []
    for digest, ranges in acknowledged(folder).items():
        done = store.completed(design_points[digest])
        for first, stop in ranges:
            inside = [(max(a, first) - first, min(b, stop) - first) for a, b in done if a < stop and b > first]
            gone += [f"lost {digest} {first + a} {first + b}\n" for a, b in missing_ranges(tuple(inside), stop - first)]
    return gone


def main(folder, seed, scheduler):
    folder = Path(folder)
    with AcknowledgingStore.open(folder, soak_design(int(seed)), provenance={}) as store:
        faults = [f"unreadable {text}\n" for text in store.quarantined] + lost(store, folder)
        if faults:
            note(folder.parent / "faults.txt", "".join(faults))
        with closing(SerialScheduler() if scheduler == "serial" else DaskScheduler(workers=WORKERS)) as chosen:
            report = run(
                soak_design(int(seed)), backend=ReferenceBackend(), scheduler=chosen, store=store, block_trials=BLOCK_TRIALS
            )
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
