"""A run in a folder, as a process that can be killed: ``python -m tests.invariance.campaign FOLDER``."""

import sys
import time
from contextlib import closing
from dataclasses import dataclass

from simprune.backends.reference import ReferenceBackend
from simprune.engine import StopRequest, run
from simprune.schedulers.dask import DaskScheduler
from simprune.store.folder import FolderStore
from tests.invariance.studies import whole_design

TRIALS = 400
SECONDS_PER_TRIAL = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowReference(ReferenceBackend):
    """The reference backend with a pause for every trial."""

    def run(self, block):
        time.sleep(SECONDS_PER_TRIAL * block.n_trials)
        return ReferenceBackend.run(self, block)


def main(folder):
    design, stop = whole_design(trials=TRIALS), StopRequest()
    with (
        stop.on_signals(),
        FolderStore.open(folder, design, provenance={}) as store,
        closing(DaskScheduler(workers=2)) as scheduler,
    ):
        report = run(design, backend=SlowReference(), scheduler=scheduler, store=store, stop=stop)
    print(report.n_before, report.n_computed, report.n_missing, len(report.failed), report.stopped, flush=True)
    return 75 if report.stopped else int(not report.complete)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
