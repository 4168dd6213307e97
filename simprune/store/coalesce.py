"""Small batches become larger ones before they are stored."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from simprune.records import TrialBatch

MAX_JOINED = 256


def n_bytes(batch: TrialBatch) -> int:
    """Return the size of the rows in bytes."""
    return sum(column.nbytes for column in batch.columns.values())


def joined(batches: Sequence[TrialBatch]) -> list[TrialBatch]:
    """Join batches of a point whose trials follow each other; ``info["batches"]`` keeps what each of them told."""
    runs: list[list[TrialBatch]] = []
    keyed = [(batch.point.digest(), batch) for batch in batches]
    keyed.sort(key=lambda pair: (pair[0], pair[1].first))
    for _, group in groupby(keyed, key=lambda pair: pair[0]):
        at = -1
        for _, batch in group:
            if batch.first == at and len(runs[-1]) < MAX_JOINED:
                runs[-1].append(batch)
            else:
                runs.append([batch])
            at = batch.stop
    return [_join(run) for run in runs]


def _join(run: list[TrialBatch]) -> TrialBatch:
    if len(run) == 1:
        return run[0]
    return TrialBatch(
        point=run[0].point,
        first=run[0].first,
        stop=run[-1].stop,
        columns={name: np.concatenate([batch.columns[name] for batch in run]) for name in run[0].columns},
        info={"batches": [{"first": batch.first, "stop": batch.stop, **batch.info} for batch in run]},
    )
