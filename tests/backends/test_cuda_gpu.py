"""The table's kernels on a real GPU; skipped, with the reason, where there is none."""

import numpy as np
import pytest

from simprune.backends.cuda_missing import missing

LACKING = missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(LACKING is not None, reason=f"no GPU: {LACKING}")]


@pytest.fixture(scope="module")
def backend():
    from simprune.backends.cuda import CudaBackend
    from simprune.backends.cuda_gpu import gpu_device

    return CudaBackend(device=gpu_device())


def test_every_kernel_of_the_table_loads(backend):
    from simprune.backends.cuda_driver import Launchable
    from simprune.backends.cuda_gpu import compiled
    from simprune.backends.cuda_kernels import KERNELS

    for name in KERNELS:
        assert isinstance(compiled(name), Launchable)


def test_integers_are_those_of_the_cpu_and_floats_are_near(backend):
    from simprune.backends.cpu import CpuBackend
    from simprune.gap.ascent import Ascent
    from simprune.gap.sampled import Sampled
    from simprune.gap.spectral import Spectral
    from simprune.model.activations import ReLU, Tanh
    from simprune.model.distributions import Gaussian, Rademacher, Uniform
    from simprune.model.pruning import BernoulliPruning, MagnitudePruning, RandomPruning
    from tests.conformance.cases import columns, point

    estimators = (Ascent(restarts=16, steps=10), Sampled(samples=70), Spectral())
    for precision, rtol in (("float32", 1e-2), ("float64", 1e-8)):
        for activation, law in ((ReLU(), Uniform()), (Tanh(), Gaussian()), (ReLU(), Rademacher())):
            for rule in (MagnitudePruning(alpha=0.3), RandomPruning(alpha=0.1), BernoulliPruning(pruned_fraction=0.03)):
                case = point((65, 130, 64, 10), activation=activation, law=law, rule=rule, estimators=estimators)
                case = type(case)(
                    network=case.network, rule=rule, estimators=estimators, seed=case.seed, precision=precision
                )
                found, wanted = (columns(b, case, stop=20)[0] for b in (backend, CpuBackend()))
                np.testing.assert_array_equal(found["n_pruned"], wanted["n_pruned"])
                np.testing.assert_allclose(found["threshold"], wanted["threshold"], rtol=1e-6)
                assert np.mean(np.isclose(found["gap_lower"], wanted["gap_lower"], rtol=rtol)) >= 0.75
                assert np.all(found["gap_lower"] <= found["gap_upper"])


def test_networks_with_convolutions_agree_too(backend):
    from simprune.backends.cpu import CpuBackend
    from simprune.gap.ascent import Ascent
    from simprune.gap.spectral import Spectral
    from tests.conformance.cases import columns, point
    from tests.conformance.test_convolutions import CHAINS

    for chain in CHAINS.values():
        case = point(chain=chain, estimators=(Ascent(restarts=16, steps=10), Spectral()))
        found, wanted = (columns(b, case, stop=8)[0] for b in (backend, CpuBackend()))
        np.testing.assert_array_equal(found["n_pruned"], wanted["n_pruned"])
        assert np.mean(np.isclose(found["gap_lower"], wanted["gap_lower"], rtol=1e-2)) >= 0.75
        assert np.all(found["gap_lower"] <= found["gap_upper"])


def test_masks_of_large_layers_are_those_of_the_cpu(backend):
    from simprune.backends.cpu import CpuBackend
    from simprune.model.pruning import MagnitudePruning, RandomPruning
    from tests.conformance.cases import point

    for rule in (MagnitudePruning(alpha=0.3), RandomPruning(pruned_fraction=0.4)):
        for precision in ("float32", "float64"):
            case = point((3000, 2500), rule=rule, precision=precision)
            found, wanted = (b.rebuild(case, 2**33 + 1, None) for b in (backend, CpuBackend()))
            np.testing.assert_array_equal(found.masks[0], wanted.masks[0])


def test_trials_do_not_depend_on_their_batch(backend):
    from tests.conformance.cases import columns, point

    case = point((64, 64, 64))
    whole = columns(backend, case, stop=50)[0]
    parts = [columns(backend, case, first=a, stop=b)[0] for a, b in ((0, 1), (1, 33), (33, 50))]
    for name, column in whole.items():
        assert np.concatenate([part[name] for part in parts]).tobytes() == column.tobytes(), name
