"""The host's copy of a device's batch proves what the cpu backend proves on the same weights and masks."""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the packages of simprune[cuda] are not installed")

from simprune.backends.cpu import CpuBackend
from simprune.backends.cuda_twin import HostTwin
from simprune.model.activations import Identity
from simprune.model.pruning import BernoulliPruning
from tests.backends.interpreted import packed
from tests.conformance.cases import point


def test_certificates_of_given_masks_are_those_of_the_cpu():
    case = point((6, 9, 4), activation=Identity(), rule=BernoulliPruning(pruned_fraction=0.3))
    trials, backend = np.arange(3), CpuBackend()
    ops = backend.open(case, trials, None)
    pruned = ops.prune([case.rule])[0]
    rebuilt = [backend.rebuild(case, trial, None) for trial in trials.tolist()]
    masks = [np.stack([trial.masks[layer] for trial in rebuilt]) for layer in range(2)]
    words = np.concatenate([packed(mask) for mask in masks], axis=1)
    twin = HostTwin(case, trials, None, ops.weights.copy())
    given = twin.pruned_by(words, pruned.n_pruned)
    np.testing.assert_array_equal(given.n_pruned, pruned.n_pruned)
    found, wanted = twin.layer_norms(given), ops.layer_norms(pruned)
    for name in ("target", "pruned", "delta"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    np.testing.assert_array_equal(twin.linear_gap(given), ops.linear_gap(pruned))
