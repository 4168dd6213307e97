"""Small trials through all kinds of CUDA kernels, for compute-sanitizer to watch."""

import sys

from simprune.backends.cuda_missing import missing
from simprune.gap.ascent import Ascent
from simprune.gap.sampled import Sampled
from simprune.model.pruning import MagnitudePruning, RandomPruning
from tests.conformance.cases import columns, point
from tests.conformance.test_convolutions import CHAINS

ESTIMATORS = (Ascent(restarts=16, steps=2), Sampled(samples=12))
MANY = MagnitudePruning(pruned_fraction=0.3)


def main():
    if lacking := missing():
        sys.exit(f"error: {lacking}")
    from simprune.backends.cuda import CudaBackend
    from simprune.backends.cuda_gpu import gpu_device

    backend = CudaBackend(device=gpu_device())
    for rule in (MagnitudePruning(alpha=0.3), MANY, RandomPruning(alpha=0.1)):
        columns(backend, point((65, 96, 64, 10), rule=rule, estimators=ESTIMATORS), stop=3)
    columns(backend, point((128, 600), rule=MANY, estimators=ESTIMATORS), stop=2)
    for chain in list(CHAINS.values())[:2]:
        columns(backend, point(chain=chain, estimators=ESTIMATORS), stop=2)
    print("done")


if __name__ == "__main__":
    main()
