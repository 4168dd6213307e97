"""Slow, obvious twins of what the package computes, written without its arithmetic."""

from dataclasses import dataclass

import numpy as np

VALUES = {
    "identity": lambda z, slope: z,
    "relu": lambda z, slope: np.maximum(z, 0.0),
    "leaky_relu": lambda z, slope: np.where(z > 0.0, z, slope * z),
    "tanh": lambda z, slope: np.tanh(z),
    "sigmoid": lambda z, slope: 1.0 / (1.0 + np.exp(-z)),
    "centred_sigmoid": lambda z, slope: 1.0 / (1.0 + np.exp(-z)) - 0.5,
}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Target and pruned network of one trial in float64; matrices ``[d_out, d_in]``."""

    target: tuple
    pruned: tuple
    biases: tuple
    activation: object

    @classmethod
    def of(cls, trial, activation):
        """Take the matrices of a rebuilt trial."""
        arrays = [tuple(a.astype(np.float64) for a in part) for part in (trial.target, trial.pruned, trial.biases)]
        return cls(target=arrays[0], pruned=arrays[1], biases=arrays[2], activation=activation)

    @property
    def is_homogeneous(self):
        """Whether scaling the input scales the gap, so that its supremum lies on the sphere."""
        return self.activation.name in ("identity", "relu", "leaky_relu") and not any(b.any() for b in self.biases)

    def output(self, weights, x):
        """Network value at the columns of ``x [d_0, n]``."""
        for layer, (weight, bias) in enumerate(zip(weights, self.biases, strict=True)):
            x = weight @ x + bias[:, None]
            if layer < len(weights) - 1:
                x = VALUES[self.activation.name](x, self.activation.parameter)
        return x

    def gap(self, x):
        """||f(x) - F(x)|| at the columns of ``x [d_0, n]`` by plain subtraction, ``[n]``."""
        return np.linalg.norm(self.output(self.pruned, x) - self.output(self.target, x), axis=0)

    @property
    def lipschitz(self):
        """Upper bound of the Lipschitz constant of f - F."""
        factor = self.activation.lipschitz ** (len(self.target) - 1)
        return factor * sum(np.prod([np.linalg.norm(w, 2) for w in part]) for part in (self.target, self.pruned))


def exact_linear_gap(pair):
    """Largest singular value of the difference of the products (identity activation, no biases)."""
    return np.linalg.norm(
        np.linalg.multi_dot([*pair.pruned[::-1], np.eye(pair.pruned[0].shape[1])])
        - np.linalg.multi_dot([*pair.target[::-1], np.eye(pair.target[0].shape[1])]),
        2,
    )


def brute_gap(pair, resolution):
    """Return a lower and an upper value of the supremum over the unit ball in two or three dimensions.

    A grid of directions (and of radii, unless the gap is homogeneous) gives the lower value, polished on finer grids
    around its best points. Every point of the ball is within ``cover`` of the first grid: upper = its best value plus
    cover times the Lipschitz constant.
    """
    directions, cover = sphere_grid(pair.target[0].shape[1], resolution)
    radii = np.array([1.0])
    if not pair.is_homogeneous:
        radii = np.linspace(0.0, 1.0, resolution // 8 + 1)
        cover += 0.5 / (resolution // 8)
    grid = np.concatenate([r * directions for r in radii], axis=1)
    values = pair.gap(grid)
    best = grid[:, np.argsort(values)[-30:]]
    return max(values.max(), polished(pair, best, cover)), values.max() + cover * pair.lipschitz


def sphere_grid(dimension, resolution):
    """Return points of the unit sphere ``[dimension, n]`` and the largest distance of the sphere from them."""
    around = 2.0 * np.pi * np.arange(2 * resolution) / (2 * resolution)
    half_step = np.pi / (2 * resolution)
    if dimension == 2:
        return np.stack([np.cos(around), np.sin(around)]), half_step
    assert dimension == 3
    down = np.pi * np.arange(resolution + 1) / resolution
    polar, azimuth = (a.ravel() for a in np.meshgrid(down, around))
    points = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)])
    return points, np.hypot(half_step, half_step)


def polished(pair, best, width):
    """Return the best gap found by shrinking clouds of points around the columns of ``best [d_0, n]``."""
    rng = np.random.default_rng(0)
    values = pair.gap(best)
    for _ in range(25):
        cloud = best[:, :, None] + width * rng.normal(size=(*best.shape, 40))
        cloud /= np.maximum(np.linalg.norm(cloud, axis=0), 1.0 if not pair.is_homogeneous else 0.0)
        tried = pair.gap(cloud.reshape(len(best), -1)).reshape(best.shape[1], 40)
        winner = tried.argmax(axis=1)
        rows = np.arange(best.shape[1])
        better = tried[rows, winner] > values
        best = np.where(better, cloud[:, rows, winner], best)
        values = np.where(better, tried[rows, winner], values)
        width *= 0.7
    return values.max()


def kept_mask(weights, n_pruned):
    """Mask (True = kept) without the ``n_pruned`` smallest magnitudes, ties pruned at the lower flat index first."""
    mask = np.ones(weights.size, dtype=bool)
    mask[np.argsort(np.abs(weights).ravel(), kind="stable")[:n_pruned]] = False
    return mask.reshape(weights.shape)
