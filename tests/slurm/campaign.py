"""A study on SLURM workers, as a process that can be killed: ``python -m tests.slurm.campaign FOLDER WALLTIME``."""

import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from simprune.design.cluster import Cluster
from simprune.engine import StopRequest, run
from simprune.schedulers.place import Place
from simprune.store.folder import FolderStore
from tests.engine.hash_backend import HashBackend, design

STUDY = design(trials=6000, widths=(4,), alphas=(0.3, 0.5))
SECONDS_PER_TRIAL = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowUntil(HashBackend):
    """A pause for every trial until the file exists: the study lasts as long as the test needs."""

    release: str

    def run(self, block):
        seconds = 0.0 if Path(self.release).exists() else SECONDS_PER_TRIAL
        return HashBackend.run(replace(self, seconds_per_trial=seconds), block)


def release_of(folder):
    return Path(folder).parent / "released"


def main(folder, walltime):
    cluster = Cluster(jobs=2, interface="lo", walltime=walltime, memory="500MB")
    place, stop = Place(scheduler="slurm", cluster=cluster), StopRequest()
    with (
        stop.on_signals(),
        FolderStore.open(folder, STUDY, provenance={}) as store,
        closing(place.open(Path(folder))) as scheduler,
    ):
        backend = SlowUntil(release=str(release_of(folder)))
        report = run(STUDY, backend=backend, scheduler=scheduler, store=store, stop=stop)
    print(report.n_before, report.n_computed, report.n_missing, len(report.failed), report.stopped, flush=True)
    return 75 if report.stopped else int(not report.complete)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
