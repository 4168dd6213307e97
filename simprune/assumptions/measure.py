"""A layer's findings: sizes, spectrum and prunings of the whole layer beside what the theory promises of them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import sparse

from simprune.assumptions.exchange import PLACEMENT, SPECTRUM
from simprune.assumptions.findings import LayerFindings, Placement, Size, Spectrum
from simprune.assumptions.fit import LAWS
from simprune.assumptions.look import Look
from simprune.assumptions.magnitudes import Pruned
from simprune.assumptions.replicates import Test
from simprune.assumptions.singular import sparse_norm, spectral_norm
from simprune.assumptions.steps import failed_steps
from simprune.assumptions.tails import tails
from simprune.model.distributions import AbstractDistribution, Gaussian, Uniform
from simprune.model.pruning import MagnitudePruning
from simprune.theory.layers import pruned_norm, target_norm


def findings(look: Look, tests: Mapping[str, Test], *, alphas: Sequence[float], delta: float) -> LayerFindings:
    """Return the findings of a layer from its look and its judged tests; ``alphas`` belong to the look's prunings."""
    layer, n = look.layer, look.layer.n_weights
    size, law = _size(look)
    ties = look.magnitudes.ties()
    prunings = zip(alphas, look.pruned, range(len(alphas)), strict=True)
    return LayerFindings(
        name=layer.name,
        shape=layer.shape,
        n_weights=n,
        sampled=look.sample.values.shape,
        size=size,
        tails=tails(look.few),
        ties=ties,
        spectrum=_spectrum(look, law, delta=delta),
        placements=tuple(_placement(look, law, *pruning, delta=delta) for pruning in prunings),
        tests=tuple(tests.values()),
        failed=failed_steps(tests, tied_share=ties.tied / n, rounding_share=ties.rounding / n),
    )


def _size(look: Look) -> tuple[Size, AbstractDistribution]:
    matrix = look.layer.matrix
    unit = math.sqrt(max(matrix.shape))
    rms = math.sqrt(float(np.mean(np.square(matrix, dtype=np.float64))))
    law = min(LAWS, key=lambda name: float(look.replicates[f"{name} KS"].values[0, 0]))
    size = Size(
        uniform=look.magnitudes.largest * unit,
        gaussian=rms * unit,
        mean=float(matrix.mean(dtype=np.float64)) * unit,
        nearer=law,
    )
    return size, Uniform(K=size.uniform) if law == Uniform.name else Gaussian(K=size.gaussian)


def _spectrum(look: Look, law: AbstractDistribution, *, delta: float) -> Spectrum:
    matrix, sample = look.layer.matrix, look.sample.values
    rms = math.sqrt(float(np.mean(np.square(matrix, dtype=np.float64))))
    largest = look.replicates[SPECTRUM].values[0, 1:].max()
    singular = np.linalg.svd((sample - sample.mean()) / np.abs(sample).max(), compute_uv=False)
    return Spectrum(
        norm=spectral_norm(matrix),
        edge=rms * (math.sqrt(matrix.shape[0]) + math.sqrt(matrix.shape[1])),
        outliers=int(np.count_nonzero(singular > largest)),
        bound=target_norm(matrix.shape, law, delta=delta).value,
    )


def _placement(look: Look, law: AbstractDistribution, alpha: float, part: Pruned, row: int, *, delta: float) -> Placement:
    matrix = look.layer.matrix
    observed, *permuted = look.replicates[PLACEMENT].values[row].tolist()
    mean = sum(permuted) / len(permuted)
    ratios = (observed / mean, min(permuted) / mean, max(permuted) / mean) if mean else (None, None, None)
    rule = MagnitudePruning(alpha=alpha)
    return Placement(
        alpha=alpha,
        n_pruned=part.n_pruned,
        norm=_pruned_norm(look, part),
        bound=pruned_norm(matrix.shape, law, rule, n_pruned=part.n_pruned, delta=delta).value,
        ratio=ratios[0],
        low=ratios[1],
        high=ratios[2],
    )


def _pruned_norm(look: Look, part: Pruned) -> float:
    matrix = look.layer.matrix
    flat = look.magnitudes.positions(part)
    rows, columns = np.divmod(flat, matrix.shape[1])
    starts = np.searchsorted(rows, np.arange(matrix.shape[0] + 1))
    values = matrix.reshape(-1)[flat].astype(np.float64)
    return sparse_norm(sparse.csr_array((values, columns, starts), shape=matrix.shape))
